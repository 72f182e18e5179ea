"""Lists of whom not to mail, from files to the API."""

import json
from pathlib import Path
from typing import Any

import pytest

from admin import suppressions
from admin.__main__ import main
from admin.calls import CallError
from admin.suppression_files import CHUNK, Found, ListFileError, read_file
from admin.suppressions import AT_ONCE, import_suppressions, open_list

PAGE: dict[str, Any] = {
    "results": [
        {
            "recipient": "Ada@example.com",
            "type": "transactional",
            "source": "Bounce Rule",
            "description": "550 5.1.1: no such user",
            "created": "2021-03-01T12:00:00+00:00",
            "updated": "2021-03-02T12:00:00+00:00",
            "subaccount_id": 0,
            "transactional": True,
        },
        {"recipient": "bob@example.com", "type": "non_transactional", "source": "List Unsubscribe", "list_id": "x"},
    ],
    "links": [{"href": "/api/v1/suppression-list?cursor=a", "rel": "next"}],
    "total_count": 2,
}
ADDRESSES = ["Ada@example.com", "bob@example.com"]
CSV = "recipient,type,description,source,updated\r\n" + "".join(
    f'{one["recipient"]},{one["type"]},"{one.get("description", "")}",{one["source"]},{one.get("updated", "")}\r\n'
    for one in PAGE["results"]
)
OLD_CSV = "email,transactional,non_transactional\nAda@example.com,true,false\nbob@example.com,FALSE,TRUE\n"
TEXTS = {
    "page": json.dumps(PAGE),
    "pretty": json.dumps(PAGE, indent=2),
    "pages": json.dumps({**PAGE, "results": PAGE["results"][:1]})
    + json.dumps({**PAGE, "results": PAGE["results"][1:]}),
    "bulk": json.dumps({"recipients": PAGE["results"]}),
    "list": json.dumps(PAGE["results"]),
    "lines": "\n".join(map(json.dumps, PAGE["results"])) + "\n\n",
    "csv": CSV,
    "csv of before": OLD_CSV,
    "marked csv": "\ufeff" + CSV,
}


class Api:
    """Keeps what it gets; all of it is new."""

    def __init__(self) -> None:
        self.lists: list[dict[str, Any]] = []

    def send(self, body: dict[str, Any]) -> dict[str, Any]:
        """Takes a list."""
        self.lists.append(body)
        (entries,) = body.values()
        return {"given": len(entries), "added": len(entries)}


def save(tmp_path: Path, text: str) -> Path:
    """A file with this text."""
    path = tmp_path / "list"
    path.write_bytes(text.encode(errors="surrogatepass"))
    return path


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_every_form_of_the_list_is_read(tmp_path: Path, text: str) -> None:
    """Pages of the API, its bulk form, lines of JSON and CSV, of now and of before."""
    api = Api()
    assert import_suppressions(save(tmp_path, text), api.send)
    (sent,) = api.lists
    assert [one.get("recipient", one.get("email")) for one in sent["recipients"]] == ADDRESSES
    assert all("description" not in one for one in sent["recipients"])


def test_our_own_pages_come_back(tmp_path: Path) -> None:
    """Those that were taken off the list are left out."""
    one = {"address": "ada@example.com", "topic": "news", "reason": "unsubscribed", "source": "unsubscribe"}
    entry = {**one, "event_key": None, "event_at": "2026-11-21T12:00:00.000Z", "at": "…", "removed_at": None}
    api = Api()
    removed = {**entry, "address": "bob@example.com", "removed_at": "2026-11-21T12:00:00.000Z"}
    assert import_suppressions(save(tmp_path, json.dumps({"results": [entry, removed], "links": {}})), api.send)
    assert api.lists == [{"entries": [{name: entry[name] for name in ("address", "topic", "reason", "event_at")}]}]


def test_lines_that_are_wrong_are_told_and_nothing_is_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An address that is left out in silence would be mailed. They are left out where that is asked for."""
    text = CSV + "ada,transactional,,,\r\ncarl@example.com,both,,,\r\ndora@example.com,transactional,,,yesterday\r\n"
    text += "eve@example.com,transactional,,,,,,\r\n"
    api = Api()
    assert not import_suppressions(save(tmp_path, text), api.send)
    assert api.lists == []
    told = capsys.readouterr().err
    for part in ("line 4: recipient is an address", "line 5: type is", "line 6: updated is a time", "line 7: it has 8"):
        assert part in told
    assert import_suppressions(save(tmp_path, text), api.send, skip_bad=True)
    assert [one["recipient"] for one in api.lists[0]["recipients"]] == ADDRESSES


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a header is expected"),
        ("name,type\na,b\n", "a header is expected"),
        ('{"results": [{"recipient": "a@b.c"}\n{}]}', "line 2: , is expected"),
        ('{"results": [\n{"recipient": "a@b.c"', "line 2"),
        ('[{"recipient": "a@b.c"}]\n7', "line 2: an object or a list"),
        ("[" * 100_000, "line 1"),
        ('recipient\n"' + "a" * 200_000, "line [12]: field larger"),
    ],
)
def test_file_that_is_no_list_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """With the line, where there is one."""
    with pytest.raises(ListFileError, match=told):
        import_suppressions(save(tmp_path, text), None)


def test_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """Rather than guessed at."""
    path = tmp_path / "list"
    path.write_bytes("recipient\nädä@example.com\n".encode("latin-1"))
    with pytest.raises(ListFileError, match="UTF-8"):
        list(read_file(path))


def test_long_file_is_sent_in_parts(tmp_path: Path) -> None:
    """Each entry once and in order, wherever a chunk of the file ends; with its line."""
    count = 2 * AT_ONCE + 7
    entries = [{"recipient": f"a{number}@example.com", "description": "é\n" * (number % 40)} for number in range(count)]
    path = save(tmp_path, json.dumps({"results": entries}, indent=1, ensure_ascii=False))
    assert path.stat().st_size > 3 * CHUNK
    api = Api()
    assert import_suppressions(path, api.send)
    assert [len(one["recipients"]) for one in api.lists] == [AT_ONCE, AT_ONCE, 7]
    sent = [one["recipient"] for body in api.lists for one in body["recipients"]]
    assert sent == [one["recipient"] for one in entries]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all(lines[line - 1].strip() == "{" for line, _ in read_file(path))
    assert next(read_file(path)) == Found(3, entries[0])


def test_command_checks_without_an_api(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 for a list that can be read, 1 for one that can't, 2 where nobody says where to."""
    path = str(save(tmp_path, CSV))
    assert main(["import-suppressions", path, "--check"]) == 0
    assert "2 entries, 0 that can't be read" in capsys.readouterr().out
    assert main(["import-suppressions", path, "--url", "http://127.0.0.1:1/api/v1"]) == 2
    assert main(["import-suppressions", path, "--url", "ftp://a", "--key", "k"]) == 1
    assert "no URL of an API" in capsys.readouterr().err
    assert main(["import-suppressions", str(tmp_path / "none"), "--check"]) == 1


def test_busy_api_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """For some time; a refusal is final at once."""
    answers: list[Any] = [
        CallError("busy", 503),
        CallError("many", 429),
        CallError("away"),
        (200, {"results": {"added": 1}}),
    ]
    slept: list[float] = []

    def call(*_: object) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, CallError):
            raise answer
        return answer

    monkeypatch.setattr(suppressions, "call_api", call)
    send = open_list("https://a.example/api/v1/", "key", slept.append)
    assert send({"entries": []}) == {"added": 1}
    assert slept == [1, 2, 5]
    answers.append(CallError("wrong", 400))
    with pytest.raises(CallError, match="wrong"):
        send({"entries": []})
    answers += [CallError("away")] * 6
    with pytest.raises(CallError, match="away"):
        send({"entries": []})
    assert answers == []
