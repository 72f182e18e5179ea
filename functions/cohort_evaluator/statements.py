"""The SQL of a tick, but for the conditions themselves (compile.py). `%(instant)s` is the tick's instant throughout."""

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
SELECT subject_id, false, true, NULL FROM missed WHERE since = '-infinity'
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
WHERE is_linked
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
COHORTS: Final = """
SELECT c.cohort_id, c.name, c.version, c.wanted, c.deleted_at IS NOT NULL, v.definition::text
FROM cohorts c JOIN cohort_versions v ON v.cohort_id = c.cohort_id AND v.version = c.wanted
ORDER BY c.cohort_id
"""

# All candidates of the tick's cohorts of one kind of subjects: their events are gathered once.
FIND_ALL: Final = """
CREATE TEMPORARY TABLE subjects_{name} ON COMMIT DROP AS
SELECT subject_id, min(at) AS at FROM (
    SELECT subject_id, since AS at FROM touched
    WHERE is_company = %(is_company)s AND (since <= %(instant)s OR is_linked)
    UNION ALL SELECT d.subject_id, d.at FROM deadlines d WHERE d.at <= %(instant)s AND d.cohort_id = ANY (%(cohorts)s)
    UNION ALL SELECT m.subject_id, m.since FROM missed m
        WHERE m.since <= %(instant)s AND m.cohort_id = ANY (%(cohorts)s)) AS found
GROUP BY 1
"""

# In the order of time, so that short windows find what they hold side by side.
GATHER: Final = """
CREATE TEMPORARY TABLE seen_{name} ON COMMIT DROP AS SELECT * FROM ({query}) AS gathered ORDER BY occurred_at;
CREATE INDEX ON seen_{name} (occurred_at);
ANALYZE seen_{name} (subject_id, occurred_at, {kind})
"""

# The last instant that was told of a subject, or at which the version was switched on: nothing before it changes. It is
# looked up for all cohorts at once, but of those whom only another cohort of this tick brought.
FIND_FLOORS: Final = """
CREATE TEMPORARY TABLE floors_{name} ON COMMIT DROP AS
SELECT m.cohort_id, m.subject_id, max(greatest(m.entered_at, m.exited_at)) AS at
FROM subjects_{name} s JOIN memberships m USING (subject_id) GROUP BY 1, 2;
CREATE UNIQUE INDEX ON floors_{name} (cohort_id, subject_id);
ANALYZE floors_{name}
"""
FIND_CANDIDATES: Final = """
INSERT INTO candidates
SELECT found.subject_id, greatest(found.at, known.at, last.at, %(floor)s)
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
JOIN identities i ON i.identity_id = found.subject_id AND i.person_id = i.identity_id
LEFT JOIN subjects_{name} s ON s.subject_id = found.subject_id
LEFT JOIN floors_{name} known ON known.subject_id = found.subject_id AND known.cohort_id = %(cohort)s
LEFT JOIN LATERAL (SELECT max(greatest(m.entered_at, m.exited_at)) AS at FROM memberships m
                   WHERE s.subject_id IS NULL AND m.subject_id = found.subject_id AND m.cohort_id = %(cohort)s)
          AS last ON true
"""
# Whether there is one whose events were not gathered: only another cohort of this tick brought it.
HAS_OTHERS: Final = """
SELECT EXISTS (SELECT FROM candidates c
               WHERE NOT EXISTS (SELECT FROM subjects_{name} s WHERE s.subject_id = c.subject_id))
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
EARLIEST: Final = "SELECT min(at), count(*) FROM candidates"
JUDGE: Final = "INSERT INTO verdicts SELECT {round}, v.subject_id, v.at, v.holds, v.until FROM ({query}) AS v"
# Those whose truth may have changed again before the tick's instant.
GO_ON: Final = """
TRUNCATE candidates;
INSERT INTO candidates SELECT subject_id, until FROM verdicts WHERE round = %(round)s AND until <= %(instant)s
"""
# Of whom another one took something away the first thing that is known may be later than the last that was told:
# nothing is true of them until then, unless they were known when the version was switched on.
HIDE_UNKNOWN: Final = """
WITH unknown AS (
    SELECT t.subject_id, least(t.since, (SELECT min(m.entered_at) FROM memberships m
                                         WHERE m.subject_id = t.subject_id AND m.cohort_id = ANY (%(inner)s))) AS since
    FROM touched t WHERE t.is_linked AND NOT %(is_company)s AND t.subject_id > %(known_to)s
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
FIND_TURNS: Final = """
INSERT INTO turns
SELECT subject_id, row_number() OVER of_subject, CASE WHEN holds THEN 'entered' ELSE 'exited' END, at,
       lead(at) OVER of_subject
FROM (SELECT v.subject_id, v.round, v.at, v.holds,
             lag(v.holds, 1, m.subject_id IS NOT NULL) OVER (PARTITION BY v.subject_id ORDER BY v.at) AS before
      FROM verdicts v
      LEFT JOIN memberships m
             ON m.cohort_id = %(cohort)s AND m.subject_id = v.subject_id AND m.exited_at IS NULL) AS judged
WHERE holds <> before
WINDOW of_subject AS (PARTITION BY subject_id ORDER BY at)
"""
END_MEMBERSHIPS: Final = """
UPDATE memberships m SET exited_at = t.at FROM turns t
WHERE m.cohort_id = %(cohort)s AND m.subject_id = t.subject_id AND m.exited_at IS NULL
  AND t.nth = 1 AND t.kind = 'exited'
"""
BEGIN_MEMBERSHIPS: Final = """
INSERT INTO memberships (cohort_id, subject_id, entered_at, exited_at)
SELECT %(cohort)s, subject_id, at, next_at FROM turns WHERE kind = 'entered'
"""
SAVE_DEADLINES: Final = """
WITH last AS (
    SELECT DISTINCT ON (subject_id) subject_id, until FROM verdicts ORDER BY subject_id, at DESC
), over AS (
    DELETE FROM deadlines d USING last
    WHERE d.cohort_id = %(cohort)s AND d.subject_id = last.subject_id AND d.at <= %(instant)s AND until = 'infinity'
)
INSERT INTO deadlines AS known
SELECT %(cohort)s, subject_id, until FROM last WHERE until < 'infinity'
ON CONFLICT (cohort_id, subject_id) DO UPDATE SET at = excluded.at
WHERE known.at > excluded.at OR known.at <= %(instant)s
"""
FIND_TURNED: Final = "TRUNCATE candidates; INSERT INTO candidates SELECT subject_id, at FROM turns WHERE nth = %(nth)s"
SAVE_TRANSITIONS: Final = """
INSERT INTO transitions (cohort_id, version, subject_id, kind, at, told_at, cause)
SELECT %(cohort)s, %(version)s, t.subject_id, t.kind, t.at, %(instant)s, {cause}
FROM turns t {causes} WHERE t.nth = %(nth)s ORDER BY t.at, t.subject_id
"""
TELL: Final = "INSERT INTO told SELECT %(cohort)s, subject_id, min(at) FROM turns GROUP BY subject_id"
CLEAR: Final = "TRUNCATE candidates, verdicts, turns"

# Those who leave without having been judged.
END_SUPERSEDED: Final = """
INSERT INTO turns
SELECT m.subject_id, 1, 'exited', greatest(%(instant)s, m.entered_at), NULL
FROM memberships m JOIN superseded s USING (subject_id) WHERE m.cohort_id = %(cohort)s AND m.exited_at IS NULL
"""
END_ALL: Final = """
INSERT INTO turns
SELECT subject_id, 1, 'exited', greatest(%(instant)s, entered_at), NULL
FROM memberships WHERE cohort_id = %(cohort)s AND exited_at IS NULL
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
SWITCHED_ON: Final = """
SELECT switched_on_at, known_to FROM cohort_versions WHERE cohort_id = %(cohort)s AND version = %(version)s
"""
SUCCEED: Final = """
UPDATE cohorts SET evaluated_at = %(instant)s, error = NULL, failed_at = NULL WHERE cohort_id = %(cohort)s
"""
FAIL: Final = "UPDATE cohorts SET error = %(error)s, failed_at = %(instant)s WHERE cohort_id = %(cohort)s"
