"""Which company a user belongs to, and what is known of it.

The one that her newest trait `company_id` names, else the one of her newest call or action that names one.
"""

from collections.abc import Sequence
from typing import Final

from psycopg2.extensions import cursor as Cursor

from cohort_evaluator.people import read_subjects
from common.events import Json
from common.json_text import decode_json

NAMED: Final = """
SELECT DISTINCT ON (i.person_id) i.person_id, w.value
FROM identities i JOIN trait_writes w USING (identity_id)
WHERE i.person_id = ANY (%s) AND w.path = ARRAY['company_id']
ORDER BY i.person_id, w.at DESC, w.value COLLATE "C" DESC
"""
CALLED_FOR: Final = """
SELECT DISTINCT ON (i.person_id) i.person_id, c.value
FROM identities i
JOIN activities a ON a.identity_id = i.identity_id AND a.company_id IS NOT NULL
JOIN identities c ON c.identity_id = a.company_id
WHERE i.person_id = ANY (%s)
ORDER BY i.person_id, a.occurred_at DESC, a.activity_key DESC
"""
FIND: Final = "SELECT value, identity_id FROM identities WHERE identity_type = 'company' AND value = ANY (%s)"


def read_companies(cursor: Cursor, subjects: Sequence[int]) -> dict[int, Json | None]:
    """{subject_id: {"id", "traits"}} of each of the people; None where no company is known."""
    names = _read_names(cursor, subjects)
    cursor.execute(FIND, (sorted(set(names.values())),))
    ids = dict(cursor.fetchall())
    known = read_subjects(cursor, sorted(ids.values()))
    traits = {name: known[number].traits for name, number in ids.items() if number in known}
    return {
        subject: {"id": names[subject], "traits": traits.get(names[subject], {})} if subject in names else None
        for subject in subjects
    }


def _read_names(cursor: Cursor, subjects: Sequence[int]) -> dict[int, str]:
    cursor.execute(NAMED, (list(subjects),))
    named = {subject: decode_json(value.encode()) for subject, value in cursor.fetchall()}
    names = {subject: value for subject, value in named.items() if isinstance(value, str) and value}
    if others := [subject for subject in subjects if subject not in names]:
        cursor.execute(CALLED_FOR, (others,))
        names.update(cursor.fetchall())
    return names
