"""What would be sent: previews of templates and notifications, which change nothing, and test mails to colleagues."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

from psycopg2.extensions import cursor as Cursor

from change_cohorts.hiding import hide_digest, hide_draft
from change_cohorts.requests import Change, read_body, refuse
from cohort_evaluator.channels import MAIL, read_name
from cohort_evaluator.drafts import Person, build_draft, find_person, read_template
from cohort_evaluator.mailing import is_held_out
from cohort_evaluator.notifying import build_due
from cohort_evaluator.reading import DefinitionError, read_text
from cohort_evaluator.told import Told, find_told, put_bodies
from common.addresses import AddressError, read_address
from common.errors import ApiError
from common.events import Json
from common.json_text import decode_json, encode_json
from mailer.digests import build_digest
from mailer.slack import build_blocks
from mailer.template_checks import check_template
from mailer.templates import Rendered, RenderError, make_context, render
from mailer.webhooks import build_webhook

MOST_RECIPIENTS: Final = 10  # of a test
SENDER: Final = "preview@example.com"  # of a mail that is only shown
UNSUBSCRIBE_URL: Final = "https://unsubscribe.invalid/preview"  # leads nowhere
# Whether somebody is a member, and waits for the mail.
STANDING: Final = """
SELECT EXISTS (SELECT FROM memberships
               WHERE cohort_id = %(cohort)s AND subject_id = %(subject)s AND exited_at IS NULL),
       EXISTS (SELECT FROM mails_due
               WHERE notification_id = %(notification)s AND subject_id = %(subject)s AND dropped IS NULL)
"""


def preview_template(change: Change) -> tuple[int, Json]:
    """`{"user", "template" or "version"}` → `{"results": {"name", "version", "user", "subject", "html", "text"}}`.

    `template` is one that is not saved: version null. 400 with part and line for what fails with her data.
    """
    given = read_body(change, required=("user",), optional=("template", "version"))
    name = _read_name(change)
    if "template" in given and "version" in given:
        raise refuse(DefinitionError("version", "is of what is saved: give it or template"))
    with _read_only(change) as cursor:
        template = _read_draft(given["template"]) if "template" in given else _read_saved(cursor, name, given)
        draft = _draft(cursor, change, given, {"name": name, **template})
        rendered = _render(draft)
    shown = {"name": name, "version": template.get("version"), "user": draft["user"]["id"], **rendered._asdict()}
    return 200, {"results": shown}


def test_template(change: Change) -> tuple[int, Json]:
    """`{"user", "to": [address], "version"}` → 202, `{"results": {"ids", "subject"}}`: sent within a minute.

    With her data, to `to` alone; what fails with her data is refused before anything is sent.
    """
    given = read_body(change, required=("user", "to"), optional=("version",))
    recipients = _read_recipients(given["to"])
    with change.connection, change.connection.cursor() as cursor:
        draft = _draft(cursor, change, given, _read_saved(cursor, _read_name(change), given))
        draft = decode_json(encode_json(draft))  # as the mailer will read it
        subject = _render(draft).subject
        begin = f"test-{draft['template']['name']}-{draft['template']['version']}-{uuid4().hex[:12]}"
        bodies = [
            {**draft, "id": f"{begin}-{number}", "kind": "test", "to": to} for number, to in enumerate(recipients, 1)
        ]
        put_bodies(cursor, bodies, change.instant)
    return 202, {"results": {"ids": [body["id"] for body in bodies], "subject": subject}}


def preview_notification(change: Change) -> tuple[int, Json]:
    """What would be sent now: `{"results": {"notification", "channel", "is_due", "message"}}`.

    Of a webhook its JSON, of Slack its blocks, of an email `{"subject", "html", "text"}` of a digest; of mails to
    members that of the member in `{"user"}`, and `{"is_member", "held_out"}` beside it.
    """
    given = read_body(change, optional=("user",))
    name = change.path.get("notification", "")
    with _read_only(change) as cursor:
        told = _find_told(cursor, name)
        channel = told.notification.channel
        shown = {"notification": name, "channel": channel}
        if channel == MAIL:
            return 200, {"results": {**shown, **_preview_mail(cursor, change, told, given)}}
        if given:
            raise refuse(DefinitionError("user", "is of mails to members: this one tells the team"))
        body, is_due = build_due(cursor, told, change.instant)
    body = body if change.may_see else hide_digest(body)
    return 200, {"results": {**shown, "is_due": is_due, "message": _show_digest(channel, body)}}


def _preview_mail(cursor: Cursor, change: Change, told: Told, given: Json) -> Json:
    if "user" not in given:
        raise refuse(DefinitionError("user", "is missing: whose mail is looked at?"))
    template = read_template(cursor, told.notification.settings["template"], None)
    subject_id = _find_user(cursor, given)
    draft = build_draft(cursor, Person(subject_id, told.cohort_id), template, change.instant)
    values = {"cohort": told.cohort_id, "notification": told.notification_id, "subject": subject_id}
    cursor.execute(STANDING, values)
    ((is_member, is_due),) = cursor.fetchall()
    held_out = is_held_out(told.notification.name, subject_id, told.notification.settings.get("hold_out", 0))
    message = _render(draft if change.may_see else hide_draft(draft))._asdict()
    return {"is_due": is_due, "is_member": is_member, "held_out": held_out, "message": message}


def _show_digest(channel: str, body: Json) -> Json:
    if channel == "webhook":
        found: Json = decode_json(build_webhook(body))
        return found
    if channel == "slack":
        return build_blocks(body)
    try:
        mail = build_digest(body, SENDER, "")
    except AddressError as failure:
        raise ApiError(400, "The mail can't be made", str(failure)) from None
    html, text = (mail.get_body((subtype,)) for subtype in ("html", "plain"))
    return {"subject": mail["Subject"], "html": html and html.get_content(), "text": text and text.get_content()}


@contextmanager
def _read_only(change: Change) -> Iterator[Cursor]:
    """A cursor that can change nothing."""
    with change.connection, change.connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY; SET LOCAL jit = off")
        yield cursor


def _find_told(cursor: Cursor, name: str) -> Told:
    try:
        return find_told(cursor, name)
    except DefinitionError as failure:
        raise ApiError(400, "The definition can't be understood", str(failure)) from None


def _read_name(change: Change) -> str:
    try:
        return read_name(change.path.get("template", ""), "template")
    except DefinitionError as failure:
        raise ApiError(404, "There is no such template", f"The name of a template {failure.reason}", "1101") from None


def _read_saved(cursor: Cursor, name: str, given: Json) -> Json:
    version = given.get("version")
    if version is not None and (type(version) is not int or not 1 <= version < 2**31):
        raise refuse(DefinitionError("version", "is a whole number from 1 on"))
    return read_template(cursor, name, version)


def _read_draft(template: Any) -> Json:
    try:
        check_template(template)
    except DefinitionError as failure:
        raise ApiError(400, "The template can't be understood", str(failure)) from None
    return dict(template)


def _find_user(cursor: Cursor, given: Json) -> int:
    try:
        return find_person(cursor, read_text(given["user"], "user"))
    except DefinitionError as failure:
        raise refuse(failure) from None


def _draft(cursor: Cursor, change: Change, given: Json, template: Json) -> Json:
    draft = build_draft(cursor, Person(_find_user(cursor, given)), template, change.instant)
    return draft if change.may_see else hide_draft(draft)


def _render(draft: Json) -> Rendered:
    try:
        return render(draft["template"], make_context(draft, UNSUBSCRIBE_URL))
    except RenderError as failure:
        raise ApiError(400, "The template can't be rendered with this user's data", str(failure)) from None


def _read_recipients(value: Any) -> list[str]:
    if type(value) is not list or not 1 <= len(value) <= MOST_RECIPIENTS:
        raise refuse(DefinitionError("to", f"is a list of 1 to {MOST_RECIPIENTS} addresses"))
    found = []
    for number, address in enumerate(value):
        try:
            found.append(read_address(read_text(address, f"to[{number}]")))
        except DefinitionError as failure:
            raise refuse(failure) from None
        except AddressError:
            raise refuse(DefinitionError(f"to[{number}]", "is an address in ASCII")) from None
    return list(dict.fromkeys(found))
