"""Mapping files: all that are there are right, and what is wrong in one is told with its place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.events import BOUNCE_KINDS, EVENT_TYPES, REJECT_REASONS
from providers import find_provider, list_mappings, list_providers
from providers._mapping import FOLDER, MappingError, check_mapping, load_mapping
from providers._mapping_checks import ATTRIBUTES, COLUMNS, PROOFS
from tests.unit.providers.payloads import list_payloads

ACME = load_mapping(FOLDER / "acme_mail.json")
Change = Callable[[dict[str, Any]], object]


def write(folder: Path, change: Change, name: str = "some_esp") -> Path:
    """A file of the example's mapping after a change."""
    mapping = json.loads(json.dumps(ACME))
    change(mapping)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(mapping), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", list_mappings())
def test_mapping_is_right(name: str) -> None:
    """Each mapping is well formed, has a name that no module has, and is found by it."""
    assert check_mapping(FOLDER / f"{name}.json").name == name
    assert name not in list_providers()
    provider = find_provider(name)
    assert provider is not None
    assert set(provider.METHODS) <= {"POST", "GET"}


@pytest.mark.parametrize("name", list_mappings())
def test_payloads_know_each_word_of_a_mapping(name: str) -> None:
    """A mapping whose payloads are there shows all of its types by them."""
    payloads = list_payloads(name)
    types = load_mapping(FOLDER / f"{name}.json")["type"]["words"].values()
    expected = {row["type"] if isinstance(row, dict) else row for row in types} - {None}
    shown = {event["event_type"] for payload in payloads for event in payload.events}
    assert not payloads or expected <= shown


def test_names_that_are_no_providers() -> None:
    """The folder of mappings, a path and an unknown name are no providers."""
    assert "acme_mail" in list_mappings()
    for name in ("mappings", "../acme_mail", "acme_mail.json", "Acme_mail", "no_such_esp", "_mapping", "generic"):
        assert find_provider(name) is None


def test_module_comes_first(tmp_path: Path) -> None:
    """A mapping cannot take the place of a module: the check says so, and the module is found all the same."""
    path = write(tmp_path, lambda mapping: None, "sparkpost")
    with pytest.raises(MappingError, match=r"sparkpost\.json: there is a module of this name"):
        check_mapping(path)
    found = find_provider("sparkpost")
    assert getattr(found, "__name__", "") == "providers.sparkpost"


def test_name_of_the_file_is_a_segment_of_the_url(tmp_path: Path) -> None:
    """A file is named by lower-case letters, digits and underscores."""
    with pytest.raises(MappingError, match=r"name it <name>\.json, of a-z"):
        check_mapping(write(tmp_path, lambda mapping: None, "Acme-2"))


PROBLEMS: dict[str, tuple[Change, str]] = {
    "missing part": (lambda it: it.pop("time"), "the mapping: time is missing; add it"),
    "misspelt part": (lambda it: it.update(timme={}), "timme: there is no such setting; did you mean 'time'?"),
    "misspelt column": (
        lambda it: it["columns"].update(recipent="to"),
        "columns.recipent: there is no such setting; did you mean 'recipient'?",
    ),
    "unknown type": (
        lambda it: it["type"]["words"].update(click="click"),
        "type.words['click']: \"click\" is not known here; did you mean 'clicked'?",
    ),
    "unknown bounce": (
        lambda it: it["type"]["words"].update(click={"type": "bounced", "bounce_kind": "firm"}),
        "type.words['click'].bounce_kind: \"firm\" is not known here; write one of admin, block, hard",
    ),
    "type without type": (
        lambda it: it["type"]["words"].update(click={"bounce_kind": "hard"}),
        "type.words['click']: type is missing; add it",
    ),
    "no words": (
        lambda it: it["type"].update(words={}),
        "type.words: write an object from the provider's words to ours",
    ),
    "number as path": (lambda it: it["columns"].update(url=5), "columns.url: write a path, as in data.email, not 5"),
    "empty step": (lambda it: it["columns"].update(url="a..b"), 'columns.url: the path "a..b" has an empty name'),
    "no paths": (lambda it: it["columns"].update(url=[]), "columns.url: the list of paths is empty"),
    "two lists in a path": (lambda it: it["columns"].update(recipient="a[].b[]"), "goes through more than one list"),
    "another list": (lambda it: it["columns"].update(url="links[].href"), "columns: [] stands for the recipients"),
    "list in volatile": (lambda it: it.update(volatile=["to[].x"]), "body.items and volatile: [] stands for"),
    "time format": (lambda it: it["time"].update(format="sec"), 'time.format: "sec" is no format; write seconds'),
    "time without zone": (
        lambda it: it["time"].update(format="%Y-%m-%d %H:%M:%S"),
        "time.zone: the format has no %z; say the zone",
    ),
    "unknown zone": (
        lambda it: it["time"].update(format="iso", zone="Europe/Atlantis"),
        "time.zone: there is no zone 'Europe/Atlantis'",
    ),
    "directive": (
        lambda it: it["time"].update(format="%Y-%Q", zone="UTC"),
        "time.format: strptime does not know '%Y-%Q'",
    ),
    "proof": (
        lambda it: it.update(proof={"how": "hmack"}),
        "proof.how: \"hmack\" is not known here; did you mean 'hmac'?",
    ),
    "proof of no object": (lambda it: it.update(proof="hmac"), "proof.how: null is not known here"),
    "header's name": (lambda it: it["proof"].update(header="a b"), "proof.header: write the name of a header"),
    "digest": (lambda it: it["proof"].update(digest="md5"), 'proof.digest: "md5" is not known here'),
    "body not signed": (lambda it: it["proof"].update(signed="{timestamp}"), "proof.signed: {body} is not in it"),
    "time not signed": (lambda it: it["proof"].update(signed="{body}"), "proof.signed: {timestamp} is not in it"),
    "no time to sign": (
        lambda it: it["proof"].update(fields={"signature": "v1"}),
        "proof.timestamp: say where the signed time is",
    ),
    "placeholder": (lambda it: it["proof"].update(signed="{body}{x}{timestamp}"), "proof.signed: there is no {x}"),
    "window": (
        lambda it: it["proof"].update(timestamp={"window_seconds": 0}),
        "proof.timestamp.window_seconds: write a whole number from 1 to 86400, not 0",
    ),
    "methods": (lambda it: it.update(methods=["PUT"]), 'methods[0]: "PUT" is not known here'),
    "no methods": (lambda it: it.update(methods=[]), "methods: write a list with at least one entry"),
    "GET with JSON": (lambda it: it.update(methods=["GET"]), "methods: a GET brings its query only"),
    "two uses of GET": (
        lambda it: it.update(methods=["GET"], handshake_methods=["GET"], body={"format": "form"}),
        "handshake_methods: GET cannot bring events and none",
    ),
    "answers": (
        lambda it: it.update(answers={"unavailable": True}),
        "answers.unavailable: write a whole number from 200",
    ),
    "field without form": (lambda it: it["body"].update(field="x"), "body.field: only a form has fields"),
    "items of lines": (lambda it: it["body"].update(format="json_lines"), "body.items: each line is an event already"),
    "envelope of nothing": (
        lambda it: it["body"].pop("items"),
        "columns.subaccount: envelope.account is around the events",
    ),
    "query that is not read": (
        lambda it: it["columns"].update(url="query.link"),
        "columns.url: query.link is in the URL's query; set body.query to true",
    ),
    "flag": (
        lambda it: it["kind"]["machine_open"].update(words={"yes": "true"}),
        "kind.machine_open.words['yes']: write true or false, not \"true\"",
    ),
    "words of a code": (
        lambda it: it["kind"]["smtp_code"].update(words={"a": 1}),
        "kind.smtp_code.words: there is no such setting",
    ),
    "empty text": (lambda it: it.update(about=""), 'about: write a text, not ""'),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problem_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    """What is wrong is named by the file, its place in it, and what to write instead."""
    change, expected = PROBLEMS[name]
    with pytest.raises(MappingError) as failure:
        check_mapping(write(tmp_path, change))
    assert expected in str(failure.value)
    assert all(line.startswith("some_esp.json: ") for line in str(failure.value).splitlines())


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Whoever writes a mapping need not mend one thing to hear of the next."""

    def change(mapping: dict[str, Any]) -> None:
        mapping["columns"]["recipent"] = "to"
        mapping["time"]["format"] = "sec"

    with pytest.raises(MappingError) as failure:
        load_mapping(write(tmp_path, change))
    assert len(str(failure.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{\n "proof": }', "some_esp.json: line 2, column 11: Expecting value"),
        (b'{"proof": 1, "proof": 2}', "some_esp.json: the name 'proof' is there twice in one object; keep one"),
        (b'{"about": "\xff"}', "some_esp.json: write it in UTF-8"),
        (b"[]", "some_esp.json: the mapping: write an object, not a list"),
    ],
)
def test_file_that_is_no_mapping(text: bytes, expected: str, tmp_path: Path) -> None:
    """A file that is no JSON object is refused with the line, or with what is there twice."""
    path = tmp_path / "some_esp.json"
    path.write_bytes(text)
    with pytest.raises(MappingError, match="some_esp") as failure:
        load_mapping(path)
    assert str(failure.value) == expected


def test_documentation_shows_the_example() -> None:
    """docs/generic-provider.md has the whole example, and names each setting, column and attribute."""
    page = (Path(__file__).parents[3] / "docs" / "generic-provider.md").read_text(encoding="utf-8")
    assert (FOLDER / "acme_mail.json").read_text(encoding="utf-8") in page
    for name in (*COLUMNS, *ATTRIBUTES, *PROOFS, *EVENT_TYPES, *BOUNCE_KINDS, *REJECT_REASONS):
        assert f"`{name}`" in page, name
