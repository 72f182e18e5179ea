"""The commands that bring cohorts from files to the API, and make such files of other systems' cohorts."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from admin import __main__ as command
from admin.__main__ import main
from admin.cohort_files import read_folder
from admin.yaml_text import read_yaml, write_yaml
from tests.unit.cohort_evaluator.test_imports_dittofeed import SEGMENT
from tests.unit.cohort_evaluator.test_imports_posthog import COHORT

ROOT = Path(__file__).parents[3]
CALLERS = """\
# Who calls.
name: callers
title: Callers
subject: user
members:
  did: {event: call}
  count: {">=": 1}
  window: {ever: true}
"""


class Api:
    """An API that keeps cohorts."""

    def __init__(self) -> None:
        self.cohorts: dict[str, Any] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.refusal: tuple[int, bytes] | None = None

    def answer(self, method: str, path: str, key: str | None, body: bytes) -> tuple[int, bytes]:
        """A status and a body."""
        self.requests.append((method, path, key))
        if self.refusal is not None:
            return self.refusal
        name, definition = path.removeprefix("/api/v1/cohorts/"), json.loads(body)
        known = self.cohorts.get(name)
        self.cohorts[name] = definition
        answer = {"results": {"name": name, "version": 1, "changed": known != definition}}
        return 201 if known is None else 200, json.dumps(answer).encode()


@pytest.fixture
def api() -> Iterator[tuple[Api, str]]:
    """The API, and its URL."""
    fake = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, answer = fake.answer(self.command, self.path, self.headers["authorization"], body)
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake, f"http://127.0.0.1:{server.server_port}/api/v1"
        server.shutdown()
        thread.join()


def write(folder: Path, **files: str) -> None:
    """Files of a folder."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def apply(folder: Path, url: str) -> int:
    """The exit code of applying."""
    return main(["apply-cohorts", str(folder), "--url", url, "--key", "mw_1"])


def test_examples_are_well_formed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the project are checked without an API; each is named as its cohort."""
    monkeypatch.chdir(ROOT)
    assert main(["apply-cohorts", "--check"]) == 0
    shown = capsys.readouterr().out
    assert "first-call-failed: First API call today, and a 400\n" in shown
    assert shown.endswith("4 cohorts of cohorts are well formed\n")
    assert all(file.path.stem == file.cohort.name for file in read_folder(Path("cohorts")))


def test_what_was_done_is_told(tmp_path: Path, api: tuple[Api, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Files are created, then unchanged, then changed, as the API says."""
    fake, url = api
    write(tmp_path, a=CALLERS)
    assert apply(tmp_path, f"{url}/") == 0
    assert apply(tmp_path, url) == 0
    write(tmp_path, a=CALLERS.replace("ever: true", "last: 1 day"))
    assert apply(tmp_path, url) == 0
    assert capsys.readouterr().out == "created    callers\nunchanged  callers\nchanged    callers\n"
    assert set(fake.requests) == {("PUT", "/api/v1/cohorts/callers", "mw_1")}
    assert fake.cohorts["callers"]["members"]["window"] == {"last": "1 day"}


def test_cohorts_that_others_ask_for_come_first(tmp_path: Path, api: tuple[Api, str]) -> None:
    """A cohort goes before those that ask for it, whatever the files are called."""
    fake, url = api
    asking = "name: {}\ntitle: x\nsubject: user\nmembers: {{not: {{cohort: {}}}}}\n"
    write(tmp_path, a=asking.format("a", "m"), m=asking.format("m", "z"), z=CALLERS.replace("callers", "z"))
    assert apply(tmp_path, url) == 0
    assert list(fake.cohorts) == ["z", "m", "a"]


def test_nothing_is_sent_if_a_file_is_wrong(
    tmp_path: Path, api: tuple[Api, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every problem is told with file, line, place and reason, before any request."""
    fake, url = api
    write(
        tmp_path,
        a=CALLERS,
        b=CALLERS.replace("event: call", "event: cal"),
        c=CALLERS.replace("ever: true", "ever: true, since: x"),
        d=CALLERS + "why: so\n",
        e="- 1\n",
        f="a: 1\na: 2\n",
        g=CALLERS.replace("  window: {ever: true}\n", ""),
        h=CALLERS.replace('{">=": 1}', '{">=": [1'),
        i=CALLERS,
        j=CALLERS.replace("user", "company").replace("callers", "j"),
        k="name: k\ntitle: x\nsubject: user\nmembers: {cohort: j}\n",
    )
    (tmp_path / "l.yaml").write_bytes(b"\xff")
    (tmp_path / "m.yaml").mkdir()
    assert apply(tmp_path, url) == 1
    assert fake.requests == []
    told = capsys.readouterr().err.replace(f"{tmp_path}/", "").splitlines()
    assert told == [
        "b.yaml:6: members.did.event: is one of mail, call, action, page, screen",
        "c.yaml:8: members.window.since: is unknown: there are ever",
        "d.yaml:9: definition.why: is unknown: there are name, title, subject, members",
        "e.yaml:1: definition: is an object",
        "f.yaml:2: a is there twice",
        "g.yaml:5: members: needs window",
        "h.yaml:8: expected ',' or ']', but got ':'",
        "l.yaml: is not in UTF-8",
        "m.yaml: Is a directory",
        "i.yaml: name: callers is in a.yaml, too",
        "k.yaml: members: j is a cohort of other subjects",
    ]


def test_cohorts_that_ask_for_each_other_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """None of them could be evaluated first; nor is there anything in an empty folder."""
    assert main(["apply-cohorts", "--check", str(tmp_path)]) == 1
    asking = "name: {}\ntitle: x\nsubject: user\nmembers: {{cohort: {}}}\n"
    write(tmp_path, a=asking.format("a", "b"), b=asking.format("b", "a"))
    assert main(["apply-cohorts", "--check", str(tmp_path)]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"{tmp_path}: has no *.yaml"
    assert told[1].startswith(f"{tmp_path}: cohorts ask for each other: ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &b [1]\nc: *b\n", "2: an alias is not read: say it again"),
        ("a: &b [*b]\n", "1: an alias is not read: say it again"),
        ("a: !!python/name:os.system\n", "1: the tag !!python/name:os.system is not read"),
        ("a: 1\nb: !!int x\n", "2: x is none of int"),
        ("{[1]: 2}\n", "1: a key is a text"),
        ("a: 1\n---\nb: 1\n", "2: but found another document"),
        ("a: 1\nb: \x07\n", "2: holds a character that YAML has not"),
        ("[" * 5000, "1: is nested too deeply"),
    ],
)
def test_yaml_is_what_json_is(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, problem: str) -> None:
    """What YAML has beyond JSON is refused with its line."""
    write(tmp_path, a=text)
    assert main(["apply-cohorts", "--check", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/a.yaml:{problem}\n"


def test_scalars_are_those_of_json(tmp_path: Path) -> None:
    """A date, a yes or a number of minutes is a text, not what YAML made of them."""
    write(
        tmp_path,
        a="name: a\ntitle: on\nsubject: user\n"
        "members: {trait: a, is_one_of: [2026-01-01, yes, 1:30, 007, 1e3, -1.5, 7, true, '1']}\n",
    )
    (file,) = read_folder(tmp_path)
    assert file.cohort.title == "on"
    assert file.definition["members"]["is_one_of"] == [
        *("2026-01-01", "yes", "1:30", "007", "1e3", -1.5, 7, True, "1"),
    ]


@example({"\x85": None})
@example(["a\u2028b", "\u2029"])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_what_is_printed_is_read(value: object) -> None:
    """Whatever PyYAML writes for JSON, with its quotes or without, is read as it was."""
    assert read_yaml(write_yaml(value))[0] == value


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (
            403,
            b'{"errors": [{"message": "Forbidden", "description": "needs admin", "code": "1"}]}',
            "403: Forbidden: needs admin",
        ),
        (401, b'{"errors": [{"message": "no key"}]}', "401: no key"),
        (502, b"<html>", "502: <html>"),
        (200, b"<html>", "Expecting value"),
    ],
)
def test_refusals_of_the_api_are_told(
    tmp_path: Path, api: tuple[Api, str], capsys: pytest.CaptureFixture[str], status: int, body: bytes, reason: str
) -> None:
    """An error of the API is shown with its description; the key is not."""
    fake, url = api
    fake.refusal = status, body
    write(tmp_path, a=CALLERS)
    assert apply(tmp_path, url) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"PUT {url}/cohorts/callers: {reason}")
    assert "mw_1" not in told


def test_api_that_is_not_there_is_told(
    tmp_path: Path, api: tuple[Api, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No connection, another server, and no URL of one."""
    fake, url = api
    write(tmp_path, a=CALLERS)
    fake.refusal = 404, b"Not found"
    assert apply(tmp_path, url) == 1
    assert apply(tmp_path, "http://127.0.0.1:1/api/v1") == 1
    assert apply(tmp_path, "file:///etc") == 1
    told = capsys.readouterr().err
    assert "callers: 404: Not found" in told
    assert "Connection refused" in told
    assert "file:///etc is no URL of an API" in told


def test_key_and_url_may_come_from_elsewhere(
    tmp_path: Path,
    api: tuple[Api, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The key of the environment, and the URL of a stack's outputs; without either nothing is done."""
    fake, url = api
    write(tmp_path, a=CALLERS)
    monkeypatch.delenv("MAILWAKE_API_KEY", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert main(["apply-cohorts", str(tmp_path), "--url", url]) == 2
    monkeypatch.setenv("MAILWAKE_API_KEY", "mw_2")
    assert main(["apply-cohorts", str(tmp_path)]) == 2
    monkeypatch.setattr(command, "read_outputs", lambda _client, stack: {"ApiUrl": url} if stack == "ours" else {})
    assert main(["apply-cohorts", str(tmp_path), "--stack", "other"]) == 1
    assert main(["apply-cohorts", str(tmp_path), "--stack", "ours"]) == 0
    assert fake.requests[0] == ("PUT", "/api/v1/cohorts/callers", "mw_2")
    told = capsys.readouterr().err
    assert "stack other has no output ApiUrl: is it a Mailwake stack?" in told


@pytest.mark.parametrize(
    ("system", "theirs", "arguments", "difference"),
    [
        ("dittofeed", SEGMENT, [], "Dittofeed cuts the times of events to 1 day"),
        ("posthog", COHORT, ["--zone", "Europe/Berlin"], "$pageview is a page here"),
    ],
)
def test_imports_can_be_applied(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    system: str,
    theirs: Any,
    arguments: list[str],
    difference: str,
) -> None:
    """What an import prints is a file that is read as it was; the differences are beside it."""
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(theirs))
    assert main(["import-cohort", system, str(path), "--name", "ours", *arguments]) == 0
    shown = capsys.readouterr()
    assert f"{path}: {difference}" in shown.err
    write(tmp_path, ours=shown.out)
    (file,) = read_folder(tmp_path)
    assert (file.cohort.name, file.cohort.title) == ("ours", theirs["name"])
    assert file.definition == yaml.safe_load(shown.out)


def test_imports_that_fail_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there or no JSON, and what can't be kept exactly, with its place; nothing is printed then."""
    path = tmp_path / "some file.json"
    assert main(["import-cohort", "posthog", str(path)]) == 1
    path.write_text("{")
    assert main(["import-cohort", "posthog", str(path)]) == 1
    path.write_text('{"entryNode": {"type": "Broadcast"}}')
    assert main(["import-cohort", "dittofeed", str(path)]) == 1
    path.write_text('{"entryNode": {"type": "Everyone"}}')
    assert main(["import-cohort", "dittofeed", str(path)]) == 0
    path = path.rename(tmp_path / "…")
    assert main(["import-cohort", "dittofeed", str(path)]) == 1
    shown = capsys.readouterr()
    told = shown.err.replace(f"{tmp_path}/", "").splitlines()
    assert told[:3] == [
        "some file.json: No such file or directory",
        "some file.json: is not JSON",
        "some file.json: entryNode: Broadcast asks for who got a broadcast, which only Dittofeed knows",
    ]
    assert told[-1] == "…: name: is missing: say what the cohort is to be called"
    assert shown.out.startswith("name: some-file\ntitle: some-file\n")
