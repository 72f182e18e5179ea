"""A mail as it would be for one person now, for who looks at a template: nothing is due, and nothing is kept."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from cohort_evaluator.aggregates import compute
from cohort_evaluator.company import read_companies
from cohort_evaluator.people import find_zone, read_subjects
from cohort_evaluator.store import FIND_TEMPLATE
from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from common.json_text import decode_json

FIND_PERSON: Final = """
SELECT person_id FROM identities
WHERE (identity_type, value) IN (('user', %(text)s), ('anonymous', %(text)s), ('address', lower(%(text)s)))
ORDER BY array_position(ARRAY['user', 'anonymous', 'address'], identity_type) LIMIT 1
"""
# The newest of a cohort; or, of any cohort, first of those that are mailed by the template.
ENTERED: Final = """
SELECT c.name, v.definition ->> 'title', t.at, t.cause
FROM transitions t
JOIN cohorts c USING (cohort_id)
JOIN cohort_versions v ON v.cohort_id = c.cohort_id AND v.version = coalesce(c.version, c.wanted)
WHERE t.subject_id = %(subject)s AND t.kind = 'entered' AND (%(cohort)s::int IS NULL OR t.cohort_id = %(cohort)s)
ORDER BY EXISTS (SELECT FROM notifications n WHERE n.cohort_id = t.cohort_id AND n.deleted_at IS NULL
                 AND n.definition #>> '{channel,mail,template}' = %(template)s) DESC, t.transition_id DESC
LIMIT 1
"""
TEMPLATE: Final = """
SELECT (template - 'mjml')::text, version FROM email_templates
WHERE name = %(name)s AND deleted_at IS NULL AND (%(version)s::int IS NULL OR version = %(version)s)
ORDER BY version DESC LIMIT 1
"""
# Of who never entered a cohort.
NO_COHORT: Final = ("none", "No cohort so far")


class Person(NamedTuple):
    """Whose data a draft has."""

    subject_id: int
    cohort_id: int | None = None  # that a draft is of; else one that she entered


def find_person(cursor: Cursor, text: str) -> int:
    """Who goes by an id, an anonymous id or an address; the first of these that is known. Raises `ApiError`."""
    cursor.execute(FIND_PERSON, {"text": text.strip()})
    found = cursor.fetchall()
    if not found:
        raise ApiError(404, "Not found", "Nothing is known of this user.", "1101")
    return int(found[0][0])


def read_template(cursor: Cursor, name: str, version: int | None) -> Json:
    """A version of a template, the newest if none is said, with `name` and `version`. Raises `ApiError`."""
    cursor.execute(TEMPLATE, {"name": name, "version": version})
    found = cursor.fetchall()
    if not found:
        what = f"No template is called {name[:100]}" if version is None else "The template has no such version"
        raise ApiError(404, "There is no such template", what, "1101")
    return {**decode_json(found[0][0].encode()), "name": name, "version": found[0][1]}


class Newest(NamedTuple):
    """The newest version of a template."""

    version: int  # 0 where there is none
    template: Json


def read_newest(connection: Connection, name: str) -> Newest:
    """What a template is now, to tell what would change."""
    with connection, connection.cursor() as cursor:
        cursor.execute(FIND_TEMPLATE, (name,))
        found = cursor.fetchall()
    version, template, is_deleted = found[0] if found else (0, "{}", False)
    return Newest(version, {} if is_deleted else decode_json(template.encode()))


def build_draft(cursor: Cursor, person: Person, template: Json, instant: datetime) -> Json:
    """An object as the outbox has them (mailing.py), without an id. Raises `psycopg2.Error`."""
    subject_id = person.subject_id
    values: dict[str, Any] = {"subject": subject_id, "cohort": person.cohort_id, "template": template.get("name")}
    cursor.execute(ENTERED, values)
    name, title, at, cause = next(iter(cursor.fetchall()), (*NO_COHORT, instant, {}))
    subject = read_subjects(cursor, [subject_id])[subject_id]
    zone = find_zone(subject.traits)
    return {
        "created_at": format_instant(instant),
        "notification": {
            "name": f"test-{template.get('name', 'draft')}",
            "cohort": name,
            "cohort_title": title,
            "subject": "user",
            "channel": {"mail": {"template": template.get("name", "draft")}},
        },
        "user": {
            "id": subject.name,
            "address": subject.addresses[0] if subject.addresses else None,
            "timezone": zone and zone.key,
            "traits": subject.traits,
        },
        "company": read_companies(cursor, [subject_id])[subject_id],
        "aggregates": compute(cursor, template.get("aggregates", {}), [subject_id], instant)[subject_id],
        "events": [event for each in cause.values() if isinstance(each, dict) for event in each.get("events") or ()],
        "entered_at": format_instant(at),
        "template": template,
    }
