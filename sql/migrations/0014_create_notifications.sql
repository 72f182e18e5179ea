-- Who is told of what a cohort's memberships do: docs/notifications.md.

CREATE TABLE notifications (
    notification_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text        NOT NULL UNIQUE,
    cohort_id    int         NOT NULL,  -- → cohorts
    definition   jsonb       NOT NULL,
    created_at   timestamptz NOT NULL,
    created_by   text        NOT NULL,
    seen         bigint,       -- the last transition that was looked at; null until the first tick, which tells of none before it
    period_began timestamptz,
    deleted_at   timestamptz
);

-- Templates of behavioural mails, each change a version of its own.
CREATE TABLE email_templates (
    name       text        NOT NULL,
    version    int         NOT NULL,
    template   jsonb       NOT NULL,  -- subject, html, text, topic, aggregates
    created_at timestamptz NOT NULL,
    created_by text        NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (name, version)
);

-- Whom a notification by mail has reached: once, or again after a period.
CREATE TABLE mailed (
    notification_id int         NOT NULL,
    subject_id      int         NOT NULL,
    at              timestamptz NOT NULL,
    times           int         NOT NULL,
    PRIMARY KEY (notification_id, subject_id)
);

-- What is to be told, written in the transaction of the tick; deleted once it is in S3.
CREATE TABLE outbox (
    id         text        PRIMARY KEY,
    body       jsonb       NOT NULL,
    created_at timestamptz NOT NULL
);

-- Each attempt to tell, as the mailer reported it through S3.
CREATE TABLE deliveries (
    id               text        NOT NULL,  -- of the outbox's object
    attempt          int         NOT NULL,
    at               timestamptz NOT NULL,
    notification     text        NOT NULL,
    cohort           text        NOT NULL,
    channel          text        NOT NULL,
    state            text        NOT NULL,
    recipient        text,                  -- an address, or the host of a webhook
    status           int,
    message_id       text,                  -- SES's
    template         text,
    template_version int,
    user_name        text,
    error            text,
    batch_id         int         NOT NULL,  -- → batches
    PRIMARY KEY (id, attempt)
);
CREATE INDEX deliveries_at ON deliveries (at, id);
CREATE INDEX deliveries_notification ON deliveries (notification, at);
CREATE INDEX deliveries_recipient ON deliveries (recipient, at);

-- Addresses that must not be mailed, from every provider's events and by hand; the mailer has a copy.
CREATE TABLE suppressions (
    address    text        NOT NULL,  -- lower case
    topic      text        NOT NULL,  -- * for every mail
    reason     text        NOT NULL CHECK (reason IN ('bounced', 'complained', 'unsubscribed', 'manual')),
    source     text        NOT NULL,  -- a provider, an API key's name, or unsubscribe
    event_at   timestamptz,           -- of the event that caused it
    event_key  bigint,
    at         timestamptz NOT NULL,
    removed_at timestamptz,           -- by hand; events before that suppress no more
    removed_by text,
    PRIMARY KEY (address, topic)
);

-- Keeps what events forbid, unless somebody took the address off the list later than the event, and tells the mailer of
-- what is new. An array of {"address", "topic", "reason", "source", "event_at", "event_key"}.
CREATE FUNCTION suppress(found json) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    WITH given AS (
        SELECT DISTINCT ON (address, topic) address, topic, reason, source, event_at, event_key
        FROM json_to_recordset(found) AS one (address text, topic text, reason text, source text, event_at timestamptz,
                                              event_key bigint)
        -- Most are known; an upsert would lock them until the load's end.
        WHERE NOT EXISTS (SELECT FROM suppressions AS known
                          WHERE known.address = one.address AND known.topic = one.topic
                            AND (known.removed_at IS NULL OR known.removed_at >= one.event_at))
        ORDER BY address, topic, event_at DESC
    ),
    saved AS (
        INSERT INTO suppressions AS known (address, topic, reason, source, event_at, event_key, at)
        SELECT address, topic, reason, source, event_at, event_key, now() FROM given ORDER BY address, topic
        ON CONFLICT (address, topic) DO UPDATE SET reason = excluded.reason, source = excluded.source,
            event_at = excluded.event_at, event_key = excluded.event_key, at = excluded.at, removed_at = NULL,
            removed_by = NULL
        WHERE known.removed_at < excluded.event_at
        RETURNING address, topic, reason, source, event_at
    ),
    told AS (
        SELECT json_agg(json_build_object(
                   'address', address, 'topic', topic, 'reason', reason, 'source', source,
                   'at', to_char(event_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
                   ORDER BY address, topic) AS entries
        FROM (SELECT saved.*, (row_number() OVER () - 1) / 500 AS part FROM saved) AS numbered GROUP BY part
    )
    INSERT INTO outbox (id, body, created_at)
    SELECT id, jsonb_build_object('id', id, 'kind', 'suppression', 'entries', entries), now()
    FROM (SELECT 'sup-' || left(encode(sha256(convert_to(entries::text, 'UTF8')), 'hex'), 32) AS id, entries
          FROM told) AS named
    ON CONFLICT DO NOTHING;
END;
REVOKE ALL ON FUNCTION suppress FROM PUBLIC;

-- What is known already.
SELECT suppress(json_agg(json_build_object(
    'address', e.recipient, 'topic', '*', 'reason', k.event_type, 'source', k.provider, 'event_at', e.occurred_at,
    'event_key', e.event_key)))
FROM events e JOIN kinds k USING (kind_key)
WHERE e.recipient IS NOT NULL
  AND (k.event_type IN ('complained', 'unsubscribed') OR (k.event_type = 'bounced' AND k.bounce_kind = 'hard'))
HAVING count(*) > 0;

GRANT EXECUTE ON FUNCTION suppress TO mailwake_loader;
GRANT INSERT, SELECT, UPDATE ON deliveries TO mailwake_loader;
GRANT SELECT ON notifications, email_templates, deliveries, suppressions TO mailwake_query;
GRANT SELECT, INSERT, UPDATE, DELETE ON notifications, email_templates, mailed, outbox, suppressions TO mailwake_evaluator;
