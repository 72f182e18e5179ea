"""The command that brings templates of mails from files to the API, and the templates of the project."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from admin import templates
from admin.__main__ import main
from admin.cohort_files import read_folder as read_cohorts
from admin.template_files import read_folder
from mailer.templates import Rendered, make_context, render

ROOT = Path(__file__).parents[3]
SETTINGS = """\
# A greeting.
subject: Hi {{ user.id }}
topic: news
aggregates:
  calls:
    count: {event: call}
    window: {ever: true}
"""
FILES = {"template.yaml": SETTINGS, "mail.html": "<p>Hi</p>\n<p>{{ aggregates.calls }}</p>\n", "mail.txt": "Hi\n"}
URL = "https://api.example.com/api/v1"


def write(folder: Path, name: str = "hello", **others: str) -> None:
    """A template's files; underscores in names stand for dots."""
    (folder / name).mkdir(exist_ok=True)
    for file, text in {**FILES, **{file.replace("_", "."): text for file, text in others.items()}}.items():
        (folder / name / file).write_text(text, encoding="utf-8")


class Api:
    """An API that keeps templates."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, str, str]] = []

    def call(self, method: str, url: str, key: str, body: Any) -> tuple[int, Any]:
        """What `call_api` does."""
        self.asked.append((method, url, key))
        name, _, dry_run = url.removeprefix(f"{URL}/templates/").partition("/")
        assert (method, dry_run) in (("PUT", ""), ("POST", "dry-run"))
        versions = self.kept.get(name, [])
        before = versions[-1] if versions else {}
        parts = sorted(part for part in {*before, *body} if before.get(part) != body.get(part))
        if not dry_run and parts:
            self.kept[name] = [*versions, body]
        results = {"name": name, "version": len(versions) + bool(parts), "changed": bool(parts), "parts": parts}
        return 200, {"results": results}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    """The API."""
    api = Api()
    monkeypatch.setattr(templates, "call_api", api.call)
    return api


def apply(folder: Path, *options: str) -> int:
    """The exit code of applying."""
    return main(["apply-templates", str(folder), "--url", f"{URL}/", "--key", "mw_1", *options])


def test_what_changed_is_told(tmp_path: Path, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """A template is made, then it is the same, then parts of it are other ones; a dry run saves nothing."""
    write(tmp_path)
    assert apply(tmp_path, "--dry-run") == apply(tmp_path) == apply(tmp_path) == 0
    write(tmp_path, mail_txt="Hello\n", mail_mjml="<mjml></mjml>")
    assert apply(tmp_path, "--dry-run") == apply(tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "new        hello, version 1",
        "created    hello, version 1",
        "unchanged  hello, version 1",
        "differs    hello, version 2: mjml, text",
        "changed    hello, version 2: mjml, text",
    ]
    assert {key for _, _, key in api.asked} == {"mw_1"}
    assert api.kept["hello"][0] == {
        "subject": "Hi {{ user.id }}",
        "topic": "news",
        "aggregates": {"calls": {"count": {"event": "call"}, "window": {"ever": True}}},
        "html": FILES["mail.html"],
        "text": FILES["mail.txt"],
    }


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"mail_html": "<p>\n\n{{ usr.id }}"}, "hello/mail.html:3: usr is unknown"),
        ({"mail_txt": "{{ aggregates.call }}"}, "hello/mail.txt:1: aggregates.call is not declared"),
        ({"mail_html": ""}, "hello/mail.html:1: is a text of 1 to"),
        ({"template_yaml": SETTINGS.replace("user.id", "user.name")}, "hello/template.yaml:2: subject: user.name is"),
        (
            {"template_yaml": SETTINGS.replace("event: call", "event: fly")},
            "hello/template.yaml:6: aggregates.calls.co",
        ),
        ({"template_yaml": SETTINGS.replace("topic", "topics")}, "hello/template.yaml:2: template: needs topic"),
        ({"template_yaml": SETTINGS + "topics: a\n"}, "hello/template.yaml:8: template.topics: is unknown"),
        ({"template_yaml": SETTINGS + "html: a\n"}, "hello/template.yaml:1: is an object without html"),
        ({"template_yaml": "- a"}, "hello/template.yaml:1: is an object"),
        ({"template_yaml": "a: *b"}, "hello/template.yaml:1: an alias is not read"),
    ],
)
def test_nothing_is_sent_if_a_file_is_wrong(
    tmp_path: Path, api: Api, capsys: pytest.CaptureFixture[str], files: dict[str, str], problem: str
) -> None:
    """Every problem is told with file and line, before any request."""
    write(tmp_path, "fine")
    write(tmp_path, **files)
    assert apply(tmp_path) == main(["apply-templates", str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().err.splitlines()[0].startswith(f"{tmp_path}/{problem}")
    assert api.asked == []


def test_files_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Are told of, and so is a name that none can have."""
    assert apply(tmp_path) == 1
    write(tmp_path, "No name")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "template.yaml").write_text(SETTINGS)
    assert apply(tmp_path) == 1
    shown = capsys.readouterr().err
    assert "has no */template.yaml" in shown
    assert f"{tmp_path}/empty/mail.html: No such file" in shown
    assert "the folder's name: is 1 to 100 characters" in shown


def test_where_must_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: Api) -> None:
    """An API and a key; checking needs neither."""
    monkeypatch.delenv("MAILWAKE_API_KEY", raising=False)
    write(tmp_path)
    assert main(["apply-templates", str(tmp_path), "--url", URL]) == 2
    assert main(["apply-templates", str(tmp_path), "--key", "a"]) == 2
    assert main(["apply-templates", str(tmp_path), "--check"]) == 0
    monkeypatch.setenv("MAILWAKE_API_KEY", "mw_2")
    assert main(["apply-templates", str(tmp_path), "--url", URL]) == 0
    assert api.asked[-1][2] == "mw_2"


OURS = {file.name: file.template for file in read_folder(ROOT / "email_templates")}
each_of_ours = pytest.mark.parametrize("name", sorted(OURS))


def show(name: str, traits: dict[str, Any], company: Any, count: int, value: Any) -> Rendered:
    """The mail of somebody, with one value for all counts, and one for all other figures."""
    template = OURS[name]
    body = {
        "notification": {"cohort": name, "cohort_title": "A cohort"},
        "user": {"id": "u1", "address": "ada@example.com", "traits": traits},
        "company": company,
        "aggregates": {key: count if "count" in one else value for key, one in template["aggregates"].items()},
        "entered_at": "2026-11-21T12:00:00.000Z",
    }
    return render(template, make_context(body, "https://u.example/t"))


def test_ours_go_with_our_cohorts() -> None:
    """Each is called as the cohort of users whose members it is for."""
    users = {file.cohort.name for file in read_cohorts(ROOT / "cohorts") if file.cohort.subject == "user"}
    assert set(OURS) == users


@each_of_ours
def test_ours_are_mails_for_everybody(name: str) -> None:
    """Also for somebody of whom nothing is known; both parts say the same, and have the link to unsubscribe."""
    full = {"metadata": {"name": "Ada", "trial_ends_at": "2026-12-01T00:00:00Z"}}
    acme = {"id": "acme", "traits": {"metadata": {"name": "Acme"}}}
    nobody, ada = show(name, {}, None, 0, None), show(name, full, acme, 3, "2026-11-01T12:00:00.000Z")
    for mail in (nobody, ada, show(name, {"metadata": {"name": None}}, None, 1, None)):
        assert "https://u.example/t" in mail.html
        assert mail.text.rstrip().endswith("No more of these mails: https://u.example/t")
        assert not re.search(r"\n{3}|[ \t]\n(?<!-- \n)|None|  \S+  ", mail.text), mail.text
    assert ("Hi there," in nobody.text, "Hi Ada," in ada.text) == (True, True)


@each_of_ours
def test_ours_are_well_made(name: str) -> None:
    """What mail programs and screen readers need: a language, a title, tables that lay out and say so, no script, no
    picture without words, and every element closed.
    """
    html = show(name, {}, {"id": "acme", "traits": {}}, 3, "2026-11-01").html
    opened: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            assert tag not in ("script", "link", "form", "iframe", "style")
            if tag == "table":
                opened.append(tag if given.get("role") != "presentation" else "layout")
            elif tag not in ("meta", "br", "img"):
                opened.append(tag)
            assert tag != "img" or "alt" in given
            assert tag != "a" or str(given["href"]).startswith("https://")
            assert tag != "html" or given["lang"] == "en"

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() in (tag, "layout" if tag == "table" else tag)

    reader = Reader()
    reader.feed(html)
    reader.close()
    assert opened == []
    assert len(html) < 102_000, "Gmail cuts longer ones"
    assert html.count("<h1") == html.count("<title>") == 1
