"""The command that tries a mapping."""

import json
from pathlib import Path

import pytest

from admin.__main__ import main
from providers._mapping import FOLDER
from tests.unit.providers.payloads import list_payloads

ACME = FOLDER / "acme_mail.json"
BATCH = next(payload for payload in list_payloads("acme_mail") if payload.name.endswith("/batch"))


def write(folder: Path, body: bytes) -> str:
    """A file with a sample."""
    path = folder / "sample"
    path.write_bytes(body)
    return str(path)


def test_events_of_a_sample_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each event is printed by the names that a mapping has for its values."""
    assert main(["check-mapping", str(ACME), "--sample", write(tmp_path, BATCH.body)]) == 0
    shown = capsys.readouterr().out
    assert "its webhooks go to /webhooks/acme_mail" in shown
    assert '"recipient": "bob@example.org"' in shown
    assert '"sender": "news@example.com"' in shown
    assert shown.endswith("4 events, 0 set aside\n")


def test_what_would_be_set_aside_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Items that are no events, and words that no type has, are told; the exit code says so."""
    items = [{"event": "strange", "at": 1795253400000}, {"event": "open"}]
    assert main(["check-mapping", str(ACME), "--sample", write(tmp_path, json.dumps(items).encode())]) == 1
    shown = capsys.readouterr().out
    assert "item 1 would be set aside: the event has no time at at" in shown
    assert "the word 'strange' is not in type.words" in shown
    assert main(["check-mapping", str(ACME), "--sample", write(tmp_path, b"{")]) == 1
    assert "the body would be set aside: the body is not JSON" in capsys.readouterr().out


def test_wrong_mapping_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mapping that is wrong, or not there, is an error with its place."""
    path = tmp_path / "some_esp.json"
    assert main(["check-mapping", str(path)]) == 1
    path.write_text("{}")
    assert main(["check-mapping", str(path)]) == 1
    shown = capsys.readouterr().err
    assert "No such file" in shown
    assert "some_esp.json: the mapping: proof is missing; add it" in shown


def test_forms_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sample may be a form, in parts too, and its URL may have a query."""
    mapping = json.loads(ACME.read_text(encoding="utf-8")) | {"body": {"format": "form", "query": True}}
    mapping["columns"] = {"recipient": "to", "campaign": "query.of"}
    path = tmp_path / "some_esp.json"
    path.write_text(json.dumps(mapping))
    parts = {"event": "open", "at": "1795253400000", "to": "ada@example.com"}
    urlencoded = "&".join(f"{name}={value}" for name, value in parts.items())
    multipart = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts.items()
    )
    for body in (urlencoded, multipart + "--x--\r\n"):
        arguments = ["--sample", write(tmp_path, body.encode()), "--query", "of=spring"]
        assert main(["check-mapping", str(path), *arguments]) == 0
        shown = capsys.readouterr().out
        assert '"recipient": "ada@example.com"' in shown
        assert '"campaign": "spring"' in shown
