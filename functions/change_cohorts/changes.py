"""What changes cohorts, and who is told of them. Each answer is a status and a JSON body."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from change_cohorts import previews
from change_cohorts.hiding import hide_digest
from change_cohorts.requests import Change
from cohort_evaluator.channels import read_name
from cohort_evaluator.definitions import read_cohort
from cohort_evaluator.drafts import read_newest
from cohort_evaluator.mail_pause import pause, resume
from cohort_evaluator.notifying import put_test
from cohort_evaluator.reading import DefinitionError, read_object
from cohort_evaluator.rehearsal import MOST_DAYS, rehearse
from cohort_evaluator.store import (
    delete_cohort,
    delete_notification,
    save_cohort,
    save_notification,
    save_template,
)
from cohort_evaluator.suppressing import ALL, add_suppression, remove_suppression
from cohort_evaluator.suppression_lists import add_list, read_list
from common.errors import ApiError
from mailer.template_checks import check_template

USUAL_DAYS: Final = 7
PATIENCE: Final = timedelta(seconds=25)  # API Gateway gives up after 30


def put_cohort(change: Change) -> tuple[int, dict[str, Any]]:
    """Saves the body as a cohort's definition: 201 where it is new, 200 where it is changed or there already.

    `{"results": {"name", "version", "changed"}}`; the next tick switches it on.
    """
    definition = _read_definition(change.body)
    name = change.path.get("cohort", "")
    if definition.get("name", name) != name:
        raise ApiError(400, "The definition is of another cohort", f"Its name is not {name[:100]}, as the path's is")
    try:
        saved = save_cohort(change.connection, {**definition, "name": name}, change.instant, change.caller)
    except DefinitionError as failure:
        raise _refuse(failure) from None
    status = 201 if saved.is_changed and saved.version == 1 else 200
    return status, {"results": {"name": name, "version": saved.version, "changed": saved.is_changed}}


def delete(change: Change) -> tuple[int, dict[str, Any]]:
    """The next tick lets everybody leave. `{"results": {"name", "deleted"}}`."""
    name = change.path.get("cohort", "")
    delete_cohort(change.connection, name, change.instant)
    return 200, {"results": {"name": name, "deleted": True}}


def dry_run(change: Change) -> tuple[int, dict[str, Any]]:
    """`{"definition", "days"}` → `{"results": {"days": [{"from", "to", "entered", "exited", "size"}], "now": {…}}}`."""
    try:
        given = read_object(_read_definition(change.body), "the body", required=("definition",), optional=("days",))
    except DefinitionError as failure:
        raise _refuse(failure) from None
    days = given.get("days", USUAL_DAYS)
    if type(days) is not int or not 1 <= days <= MOST_DAYS:
        raise ApiError(400, "days can't be read", f"It is a whole number from 1 to {MOST_DAYS}")
    try:
        cohort = read_cohort(given.get("definition"))
    except DefinitionError as failure:
        raise _refuse(failure) from None
    return 200, {"results": rehearse(change.connection, cohort, change.instant, days, PATIENCE)}


def _read_definition(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ApiError(400, "The body can't be read", "Send a JSON object.")
    return body


def _refuse(failure: DefinitionError) -> ApiError:
    return ApiError(400, "The definition can't be understood", str(failure))


def put_notification(change: Change) -> tuple[int, dict[str, Any]]:
    """Saves the body as a notification; it tells of what happens from the next tick on. `{"results": {"name"}}`."""
    definition = _read_definition(change.body)
    name = change.path.get("notification", "")
    if definition.get("name", name) != name:
        raise ApiError(400, "The definition is of another one", f"Its name is not {name[:100]}, as the path's is")
    try:
        save_notification(change.connection, {**definition, "name": name}, change.instant, change.caller)
    except DefinitionError as failure:
        raise _refuse(failure) from None
    return 200, {"results": {"name": name}}


def remove_notification(change: Change) -> tuple[int, dict[str, Any]]:
    """Nothing more is told. `{"results": {"name", "deleted"}}`."""
    name = change.path.get("notification", "")
    delete_notification(change.connection, name, change.instant)
    return 200, {"results": {"name": name, "deleted": True}}


def test_notification(change: Change) -> tuple[int, dict[str, Any]]:
    """Tells of the newest changes, as a test, with the next tick. `{"results": {"id", "body"}}`: what is sent.

    Whoever may not see addresses and traits is not shown those that are sent.
    """
    try:
        body = put_test(change.connection, change.path.get("notification", ""), change.instant)
    except DefinitionError as failure:
        raise _refuse(failure) from None
    return 202, {"results": {"id": body["id"], "body": body if change.may_see else hide_digest(body)}}


def put_template(change: Change) -> tuple[int, dict[str, Any]]:
    """Checks the body as a mail's template and saves it.

    `{"results": {"name", "version", "changed", "parts"}}`: those that are other than in the version before.
    """
    name, template, _, parts = _compare_template(change)
    saved = save_template(change.connection, name, template, change.instant, change.caller)
    return 200, {"results": {"name": name, "version": saved.version, "changed": saved.is_changed, "parts": parts}}


def dry_run_template(change: Change) -> tuple[int, dict[str, Any]]:
    """What `put_template` would answer; nothing is saved."""
    name, _, version, parts = _compare_template(change)
    changed = bool(parts)
    return 200, {"results": {"name": name, "version": version + changed, "changed": changed, "parts": parts}}


def _compare_template(change: Change) -> tuple[str, dict[str, Any], int, list[str]]:
    """Its name, the template, the newest version that there is, and the parts that differ. Raises `ApiError`."""
    template, name = _read_definition(change.body), change.path.get("template", "")
    try:
        read_name(name, "template")
        check_template(template)
    except DefinitionError as failure:
        raise ApiError(400, "The template can't be understood", str(failure)) from None
    known = read_newest(change.connection, name)
    parts = sorted(part for part in {*known.template, *template} if known.template.get(part) != template.get(part))
    return name, template, known.version, parts


def post_suppression(change: Change) -> tuple[int, dict[str, Any]]:
    """`{"address", "topic"}`: nothing of the topic, or (`*`) at all, is mailed there. `{"results": {"added"}}`.

    Or a list, `{"entries"}` or `{"recipients"}`: `{"results": {"given", "added"}}`; all of it, or none.
    """
    given = _read_definition(change.body)
    found = given.get("address"), given.get("topic", ALL)
    try:
        if "address" not in given:
            entries = read_list(given, change.instant, change.caller)
            count = add_list(change.connection, entries, change.instant)
            return 200, {"results": {"given": len(entries), "added": count}}
        read_object(given, "the suppression", required=("address",), optional=("topic",))
        added = add_suppression(change.connection, *found, change.instant, change.caller)
    except DefinitionError as failure:
        raise ApiError(400, "The suppression can't be understood", str(failure)) from None
    return 201 if added else 200, {"results": {"added": added}}


def delete_suppression(change: Change) -> tuple[int, dict[str, Any]]:
    """`{"address", "topic"}`: may be mailed again, until something newer forbids it. `{"results": {"removed"}}`."""
    given = _read_definition(change.body)
    found = given.get("address"), given.get("topic", ALL)
    try:
        read_object(given, "the suppression", required=("address",), optional=("topic",))
        remove_suppression(change.connection, *found, change.instant, change.caller)
    except DefinitionError as failure:
        raise ApiError(400, "The suppression can't be understood", str(failure)) from None
    return 200, {"results": {"removed": True}}


def put_pause(change: Change) -> tuple[int, dict[str, Any]]:
    """No mail to a member is handed on any more. `{"results": {"paused", "changed"}}`."""
    changed = pause(change.connection, change.instant, change.caller)
    return 200, {"results": {"paused": True, "changed": changed}}


def delete_pause(change: Change) -> tuple[int, dict[str, Any]]:
    """Mails to members go again, by hand or automatically paused as they were. `{"results": {"paused"}}`."""
    resume(change.connection, change.instant, change.caller)
    return 200, {"results": {"paused": False}}


ROUTES: Final[Mapping[str, Callable[[Change], tuple[int, dict[str, Any]]]]] = {
    "PUT /api/v1/cohorts/{cohort}": put_cohort,
    "DELETE /api/v1/cohorts/{cohort}": delete,
    "POST /api/v1/cohorts/dry-run": dry_run,
    "PUT /api/v1/notifications/{notification}": put_notification,
    "DELETE /api/v1/notifications/{notification}": remove_notification,
    "POST /api/v1/notifications/{notification}/test": test_notification,
    "POST /api/v1/notifications/{notification}/preview": previews.preview_notification,
    "PUT /api/v1/templates/{template}": put_template,
    "POST /api/v1/templates/{template}/dry-run": dry_run_template,
    "POST /api/v1/templates/{template}/preview": previews.preview_template,
    "POST /api/v1/templates/{template}/test": previews.test_template,
    "POST /api/v1/suppressions": post_suppression,
    "DELETE /api/v1/suppressions": delete_suppression,
    "PUT /api/v1/mail/pause": put_pause,
    "DELETE /api/v1/mail/pause": delete_pause,
}
