-- Cohorts of users and companies. docs/decisions/0009-cohorts.md tells when a membership changes.

-- What loads changed, each written in the transaction of its load, deleted by the tick that has seen it. JSON:
-- {"addresses": {address: time}, "users": {id: time}, "identities": {identity_id: time}, "linked": [identity_id]},
-- times in microseconds since 1970, each the earliest of what is new; of who is linked anything may be new.
CREATE TABLE changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    touched   json NOT NULL
);

-- Each write of a trait with its time: what it was at any instant.
CREATE TABLE trait_writes (
    identity_id int         NOT NULL,  -- → identities
    path        text[]      NOT NULL,
    at          timestamptz NOT NULL,
    value       text        NOT NULL,  -- JSON; of writes at one time the greater one, byte by byte
    PRIMARY KEY (identity_id, path, at)
);
INSERT INTO trait_writes (identity_id, path, at, value)
SELECT identity_id, ARRAY(SELECT json_array_elements_text(key::json)),
       'epoch'::timestamptz + (write ->> 0)::bigint * interval '1 microsecond', write ->> 1
FROM profiles CROSS JOIN LATERAL (SELECT key, json_build_array(value -> 0, (value -> 1)::text) AS write
                                  FROM jsonb_each(writes)) AS known;

CREATE FUNCTION write_traits(rows json) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    INSERT INTO trait_writes AS known (identity_id, path, at, value)
    SELECT identity_id, path, at, max(value COLLATE "C")
    FROM json_to_recordset(rows) AS given (identity_id int, path text[], at timestamptz, value text)
    GROUP BY 1, 2, 3
    ON CONFLICT (identity_id, path, at) DO UPDATE SET value = excluded.value
    WHERE known.value COLLATE "C" < excluded.value COLLATE "C";
END;
REVOKE ALL ON FUNCTION write_traits FROM PUBLIC;

CREATE TABLE cohorts (
    cohort_id    int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    version      int,                  -- the one in force; null until a tick switches it on
    wanted       int NOT NULL,         -- the one that the next tick switches on
    evaluated_at timestamptz,          -- the instant of the last tick that succeeded
    error        text,                 -- why the last tick failed
    failed_at    timestamptz,
    deleted_at   timestamptz           -- the next tick lets everybody leave
);
CREATE TABLE cohort_versions (
    cohort_id      int         NOT NULL REFERENCES cohorts,
    version        int         NOT NULL,
    definition     jsonb       NOT NULL,
    created_at     timestamptz NOT NULL,
    created_by     text        NOT NULL,
    switched_on_at timestamptz,
    known_to       int,                   -- the largest identity_id then: who is known by then is there from then on
    PRIMARY KEY (cohort_id, version)
);

-- Who is or was a member: from the first instant until before the second. An interval that was told and turned out to
-- be untrue is empty.
CREATE TABLE memberships (
    cohort_id  int         NOT NULL,
    subject_id int         NOT NULL,  -- → identities: the person's own, or the company
    entered_at timestamptz NOT NULL,
    exited_at  timestamptz,
    CHECK (exited_at >= entered_at)
);
CREATE UNIQUE INDEX memberships_open ON memberships (cohort_id, subject_id) WHERE exited_at IS NULL;
CREATE INDEX memberships_subject ON memberships (subject_id, cohort_id);
CREATE INDEX memberships_times ON memberships (cohort_id, entered_at, exited_at);

CREATE TABLE transitions (
    transition_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cohort_id     int         NOT NULL,
    version       int         NOT NULL,
    subject_id    int         NOT NULL,
    kind          text        NOT NULL CHECK (kind IN ('entered', 'exited')),
    at            timestamptz NOT NULL,  -- by the definition
    told_at       timestamptz NOT NULL,  -- of the tick
    cause         jsonb       NOT NULL
);
CREATE INDEX transitions_cohort ON transitions (cohort_id, at, transition_id);
CREATE INDEX transitions_subject ON transitions (subject_id, cohort_id, transition_id);

-- The earliest instant at which the truth may change without anything new; where there is none, no row.
CREATE TABLE deadlines (
    cohort_id  int         NOT NULL,
    subject_id int         NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (cohort_id, subject_id)
) WITH (fillfactor = 80);
CREATE INDEX deadlines_at ON deadlines (cohort_id, at);

-- What a cohort that failed has missed.
CREATE TABLE missed (
    cohort_id  int         NOT NULL,
    subject_id int         NOT NULL,
    since      timestamptz NOT NULL,
    PRIMARY KEY (cohort_id, subject_id)
);

-- The first instant of the day, week or month of a time zone that holds an instant, moved by a number of them. It is
-- the first at which the wall clock shows midnight or, where that is left out, later.
CREATE FUNCTION start_period(instant timestamptz, unit text, week_start int, zone text, shift int) RETURNS timestamptz
    STABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN (SELECT CASE WHEN (begins - interval '1 hour') AT TIME ZONE zone >= midnight
                        THEN begins - interval '1 hour' ELSE begins END
            FROM (SELECT midnight, midnight AT TIME ZONE zone AS begins
                  FROM (SELECT date_trunc(unit, (instant AT TIME ZONE zone) - days) + days
                               + shift * ('1 ' || unit)::interval AS midnight
                        FROM (SELECT CASE unit WHEN 'week' THEN week_start ELSE 0 END * interval '1 day' AS days) AS w
                       ) AS local) AS found);

-- A trait's value as a time: a day (of UTC) or an instant with its zone. Null where it is neither.
CREATE FUNCTION read_time(value jsonb) RETURNS timestamptz
    STABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN (SELECT CASE WHEN jsonb_typeof(value) = 'string'
                         AND written ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9]))?$'
                         AND pg_input_is_valid(written, 'timestamptz')
                        THEN (CASE WHEN length(written) = 10 THEN written || 'T00:00:00Z' ELSE written END)::timestamptz
                   END
            FROM (SELECT value #>> '{}' AS written) AS text_of);

-- The part of 1 that a subject stands at, by the hash of a seed and its identity's content key.
CREATE FUNCTION find_share(seed text, content_key bigint) RETURNS numeric
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN (SELECT sum(get_byte(hash, place)::numeric * 256::numeric ^ (7 - place)) / 18446744073709551616
            FROM (SELECT sha256(convert_to(seed, 'UTF8') || '\x00'::bytea || convert_to(content_key::text, 'UTF8')) AS hash)
                 AS hashed, generate_series(0, 7) AS place);

ALTER TABLE activities ADD COLUMN properties jsonb;  -- what conditions may ask for: metadata of a call, properties of a track

GRANT INSERT ON changes TO mailwake_loader;
GRANT EXECUTE ON FUNCTION write_traits TO mailwake_loader;
GRANT SELECT ON cohorts, cohort_versions, memberships, transitions, trait_writes TO mailwake_query;
GRANT SELECT ON events, kinds, mailings, senders, receivers, clients, activities, operations, agents, identities,
    identity_links, trait_writes TO mailwake_evaluator;
GRANT SELECT, INSERT, UPDATE, DELETE ON cohorts, cohort_versions, memberships, deadlines, missed TO mailwake_evaluator;
GRANT SELECT, INSERT ON transitions TO mailwake_evaluator;
GRANT SELECT, DELETE ON changes TO mailwake_evaluator;
GRANT EXECUTE ON FUNCTION find_identities TO mailwake_evaluator;
