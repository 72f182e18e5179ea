"""The SQL of a tick, but for the conditions (compile.py) and what follows from them (turning.py).

`%(instant)s` is the tick's instant throughout.
"""

from typing import Final

ONLY_ONE: Final = "SELECT pg_try_advisory_xact_lock(hashtext('evaluate_cohorts'))"
# Whom loads touched, each with the earliest time of what is new. Who is linked is looked at from the first thing on
# that is known of the person. A load that came after everybody was registered (registering.py) may name somebody whom
# nobody knows: it is left for the next tick.
TAKE_CHANGES: Final = """
CREATE TEMPORARY TABLE touched ON COMMIT DROP AS
WITH taken AS MATERIALIZED (
    DELETE FROM changes
    WHERE NOT EXISTS (
            SELECT FROM json_object_keys(touched -> 'addresses') AS address
            WHERE NOT EXISTS (SELECT FROM identities i WHERE i.value = address AND i.identity_type = 'address'))
      AND NOT EXISTS (
            SELECT FROM json_object_keys(touched -> 'users') AS name
            WHERE NOT EXISTS (SELECT FROM identities i WHERE i.value = name AND i.identity_type = 'user'))
    RETURNING touched),
named AS (
    SELECT i.person_id, i.identity_type, given.value::bigint AS since
    FROM taken CROSS JOIN LATERAL json_each_text(touched -> 'identities') AS given
    JOIN identities i ON i.identity_id = given.key::int
    UNION ALL
    SELECT i.person_id, i.identity_type, given.value::bigint
    FROM taken CROSS JOIN LATERAL json_each_text(touched -> 'addresses') AS given
    JOIN identities i ON i.value = given.key AND i.identity_type = 'address'
    UNION ALL
    SELECT i.person_id, i.identity_type, given.value::bigint
    FROM taken CROSS JOIN LATERAL json_each_text(touched -> 'users') AS given
    JOIN identities i ON i.value = given.key AND i.identity_type = 'user'
)
SELECT person_id AS subject_id, identity_type = 'company' AS is_company, false AS is_linked,
       'epoch'::timestamptz + min(since) * interval '1 microsecond' AS since
FROM named GROUP BY 1, 2
UNION ALL
SELECT DISTINCT i.person_id, false, true, NULL::timestamptz
FROM taken CROSS JOIN LATERAL json_array_elements_text(touched -> 'linked') AS given
JOIN identities i ON i.identity_id = given::int
UNION
SELECT m.subject_id, i.identity_type = 'company', true, NULL
FROM missed m JOIN identities i ON i.identity_id = m.subject_id WHERE m.since = '-infinity'
"""
# The companies of those who were touched. Of whom it may have become another one, or who is somebody else now, all that
# she was ever said to be of are looked at as persons are who were linked.
TOUCH_COMPANIES: Final = """
INSERT INTO touched
WITH said AS (
    SELECT t.subject_id, t.since, w.company_id, bool_or(t.is_linked OR w.at >= t.since) OVER of_person AS has_moved,
           row_number() OVER (of_person ORDER BY w.at DESC, w.value COLLATE "C" DESC) AS nth
    FROM touched t
    JOIN identities i ON i.person_id = t.subject_id
    JOIN trait_writes w ON w.identity_id = i.identity_id AND w.path = ARRAY['company_id']
    WHERE NOT t.is_company
    WINDOW of_person AS (PARTITION BY t.subject_id, t.is_linked)
)
SELECT company_id, true, has_moved, CASE WHEN has_moved THEN NULL ELSE min(since) END
FROM said WHERE company_id IS NOT NULL AND (has_moved OR nth = 1)
GROUP BY company_id, has_moved
"""
FIND_FIRST: Final = """
UPDATE touched SET since = least(
    (SELECT min(a.occurred_at) FROM identities i JOIN activities a USING (identity_id) WHERE i.person_id = subject_id),
    (SELECT min(e.occurred_at) FROM identities i JOIN events e ON e.recipient = i.value AND e.user_key IS NULL
     WHERE i.person_id = subject_id AND i.identity_type = 'address'),
    (SELECT min(e.occurred_at) FROM identities i JOIN events e ON e.user_key = i.content_key
     WHERE i.person_id = subject_id AND i.identity_type = 'user'),
    (SELECT min(w.at) FROM identities i JOIN trait_writes w USING (identity_id) WHERE i.person_id = subject_id),
    (SELECT min(l.at) FROM identities i JOIN identity_links l ON i.identity_id IN (l.from_id, l.to_id)
     WHERE i.person_id = subject_id))
WHERE is_linked AND NOT is_company
"""
# It matters of those alone who were not known when the first of the cohorts was switched on.
FIND_FIRST_OF_COMPANIES: Final = """
UPDATE touched SET since = CASE WHEN subject_id <= %(known_to)s THEN '-infinity' ELSE least(
    (SELECT min(a.occurred_at) FROM activities a WHERE a.company_id = subject_id),
    (SELECT min(a.occurred_at) FROM company_people p JOIN identities i USING (person_id)
     JOIN activities a USING (identity_id)
     WHERE p.company_id = subject_id AND a.company_id IS NULL),
    (SELECT min(e.occurred_at) FROM company_people p JOIN identities i USING (person_id)
     JOIN events e ON e.recipient = i.value AND e.user_key IS NULL
     WHERE p.company_id = subject_id AND i.identity_type = 'address'),
    (SELECT min(e.occurred_at) FROM company_people p JOIN identities i USING (person_id)
     JOIN events e ON e.user_key = i.content_key WHERE p.company_id = subject_id AND i.identity_type = 'user'),
    (SELECT min(w.at) FROM trait_writes w WHERE w.identity_id = subject_id),
    (SELECT min(w.at) FROM trait_writes w WHERE w.company_id = subject_id)) END
WHERE is_linked AND is_company
"""
# Who has become part of another person since the last tick.
FIND_SUPERSEDED: Final = """
CREATE TEMPORARY TABLE superseded ON COMMIT DROP AS
SELECT i.identity_id AS subject_id, i.person_id
FROM identities i
WHERE i.identity_id <> i.person_id AND i.person_id IN (SELECT subject_id FROM touched WHERE is_linked)
"""
# What most ticks have nothing of, and then do nothing about for any cohort.
FIND_RARE: Final = """
SELECT EXISTS (SELECT FROM superseded), EXISTS (SELECT FROM touched WHERE is_linked),
       EXISTS (SELECT FROM touched WHERE since > %(instant)s), EXISTS (SELECT FROM missed)
"""
CREATE_JUDGING: Final = """
CREATE TEMPORARY TABLE candidates (subject_id int NOT NULL, at timestamptz NOT NULL) ON COMMIT DROP;
CREATE TEMPORARY TABLE verdicts (round int NOT NULL, subject_id int NOT NULL, at timestamptz NOT NULL,
                                 holds boolean NOT NULL, until timestamptz NOT NULL) ON COMMIT DROP
"""
CREATE_TURNS: Final = """
CREATE TEMPORARY TABLE turns (subject_id int NOT NULL, nth int NOT NULL, kind text NOT NULL, at timestamptz NOT NULL,
                              next_at timestamptz) ON COMMIT DROP;
CREATE TEMPORARY TABLE told (cohort_id int NOT NULL, subject_id int NOT NULL, at timestamptz NOT NULL) ON COMMIT DROP
"""
BEGIN_COHORT: Final = "SAVEPOINT cohort; SET LOCAL statement_timeout = %(patience)s"
END_COHORT: Final = "RELEASE SAVEPOINT cohort; SET LOCAL statement_timeout = 0"
# The last instant that was told of a subject, or at which the version was switched on: nothing before it changes.
FIND_CANDIDATES: Final = """
INSERT INTO candidates
SELECT found.subject_id, greatest(found.at, known.at, %(floor)s)
FROM (SELECT subject_id, min(at) AS at FROM (
          SELECT subject_id, CASE WHEN is_linked THEN '-infinity' ELSE since END AS at FROM touched
          WHERE is_company = %(is_company)s AND (since <= %(instant)s OR is_linked) AND subject_id IN ({concerned})
          UNION ALL
          SELECT subject_id, at FROM deadlines WHERE cohort_id = %(cohort)s AND at <= %(instant)s
          UNION ALL
          SELECT subject_id, since FROM missed WHERE cohort_id = %(cohort)s AND since <= %(instant)s
          UNION ALL
          SELECT subject_id, at FROM told WHERE cohort_id = ANY (%(inner)s)) AS any_of
      GROUP BY 1) AS found
JOIN subjects_{name} s USING (subject_id)
LEFT JOIN known_{name} known ON known.cohort_id = %(cohort)s AND known.subject_id = found.subject_id
"""
# Those whom only another cohort of this tick brings: nothing was gathered of them.
FIND_OTHERS: Final = """
INSERT INTO candidates
SELECT found.subject_id, greatest(found.at, last.at, %(floor)s)
FROM (SELECT subject_id, min(at) AS at FROM told WHERE cohort_id = ANY (%(inner)s) GROUP BY 1) AS found
JOIN identities i ON i.identity_id = found.subject_id AND i.person_id = i.identity_id
LEFT JOIN LATERAL (SELECT max(greatest(m.entered_at, m.exited_at)) AS at FROM memberships m
                   WHERE m.subject_id = found.subject_id AND m.cohort_id = %(cohort)s) AS last ON true
WHERE NOT EXISTS (SELECT FROM subjects_{name} s WHERE s.subject_id = found.subject_id)
"""
FIND_EVERYBODY: Final = """
INSERT INTO candidates
SELECT identity_id, %(instant)s FROM identities
WHERE identity_id = person_id AND (identity_type = 'company') = %(is_company)s
"""
# What is dated after the tick is looked at when its time has come.
KEEP_FOR_LATER: Final = """
INSERT INTO missed AS known
SELECT %(cohort)s, subject_id, min(since) FROM touched WHERE is_company = %(is_company)s AND since > %(instant)s
GROUP BY subject_id
ON CONFLICT (cohort_id, subject_id) DO UPDATE SET since = least(known.since, excluded.since)
"""
FORGET_MISSED: Final = "DELETE FROM missed WHERE cohort_id = %(cohort)s AND since <= %(instant)s"
MISS: Final = """
INSERT INTO missed AS known
SELECT %(cohort)s, subject_id, min(since) FROM (
    SELECT subject_id, CASE WHEN is_linked THEN '-infinity' ELSE since END AS since
    FROM touched WHERE is_company = %(is_company)s
    UNION ALL SELECT subject_id, at FROM told WHERE cohort_id = ANY (%(inner)s)) AS found
GROUP BY subject_id
ON CONFLICT (cohort_id, subject_id) DO UPDATE SET since = least(known.since, excluded.since)
"""
EARLIEST: Final = "ANALYZE candidates; SELECT min(at), count(*) FROM candidates"
JUDGE: Final = "INSERT INTO verdicts SELECT {round}, v.subject_id, v.at, v.holds, v.until FROM ({query}) AS v"
# Those whose truth may have changed again before the tick's instant.
GO_ON: Final = """
TRUNCATE candidates;
INSERT INTO candidates SELECT subject_id, until FROM verdicts WHERE round = %(round)s AND until <= %(instant)s
"""
# Of whom another one took something away (or whose user went to another company) the first thing that is known may be
# later than the last that was told: nothing is true of them until then, unless they were known when the version was
# switched on.
HIDE_UNKNOWN: Final = """
WITH unknown AS (
    SELECT t.subject_id, least(t.since, (SELECT min(m.entered_at) FROM memberships m
                                         WHERE m.subject_id = t.subject_id AND m.cohort_id = ANY (%(inner)s))) AS since
    FROM touched t WHERE t.is_linked AND t.is_company = %(is_company)s AND t.subject_id > %(known_to)s
), last AS (
    SELECT DISTINCT ON (v.subject_id) v.round, v.subject_id, u.since, v.holds, v.until
    FROM verdicts v JOIN unknown u ON u.subject_id = v.subject_id AND v.at < u.since
    ORDER BY v.subject_id, v.round DESC
), hidden AS (
    UPDATE verdicts v SET holds = false FROM unknown u WHERE u.subject_id = v.subject_id AND v.at < u.since
)
INSERT INTO verdicts
SELECT round, subject_id, since, holds, until FROM last WHERE since <= %(instant)s AND until > since
"""
FORGET_SUPERSEDED: Final = """
DELETE FROM deadlines WHERE cohort_id = %(cohort)s AND subject_id IN (SELECT subject_id FROM superseded);
DELETE FROM missed WHERE cohort_id = %(cohort)s AND subject_id IN (SELECT subject_id FROM superseded)
"""
FORGET_COHORT: Final = """
DELETE FROM deadlines WHERE cohort_id = %(cohort)s;
DELETE FROM missed WHERE cohort_id = %(cohort)s
"""
SWITCH_ON: Final = """
UPDATE cohort_versions
SET switched_on_at = %(instant)s, known_to = (SELECT coalesce(max(identity_id), 0) FROM identities)
WHERE cohort_id = %(cohort)s AND version = %(version)s;
UPDATE cohorts SET version = %(version)s WHERE cohort_id = %(cohort)s
"""
SUCCEED: Final = """
UPDATE cohorts SET evaluated_at = %(instant)s, error = NULL, failed_at = NULL WHERE cohort_id = ANY (%(cohorts)s)
"""
FAIL: Final = "UPDATE cohorts SET error = %(error)s, failed_at = %(instant)s WHERE cohort_id = %(cohort)s"
