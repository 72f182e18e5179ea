-- What mails to members did, by their template.
CREATE INDEX deliveries_template ON deliveries (template, at) WHERE template IS NOT NULL;

-- The mail of ours by whose link somebody unsubscribed: its id in deliveries.
ALTER TABLE suppressions ADD COLUMN delivery text;
CREATE INDEX suppressions_delivery ON suppressions (delivery) WHERE delivery IS NOT NULL;

-- As before, with "delivery".
CREATE OR REPLACE FUNCTION suppress(found json) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    WITH given AS (
        SELECT DISTINCT ON (address, topic) address, topic, reason, source, event_at, event_key, delivery
        FROM json_to_recordset(found) AS one (address text, topic text, reason text, source text, event_at timestamptz,
                                              event_key bigint, delivery text)
        -- Most are known; an upsert would lock them until the load's end.
        WHERE NOT EXISTS (SELECT FROM suppressions AS known
                          WHERE known.address = one.address AND known.topic = one.topic
                            AND (known.removed_at IS NULL OR known.removed_at >= one.event_at))
        ORDER BY address, topic, event_at DESC
    ),
    saved AS (
        INSERT INTO suppressions AS known (address, topic, reason, source, event_at, event_key, delivery, at)
        SELECT address, topic, reason, source, event_at, event_key, delivery, now() FROM given ORDER BY address, topic
        ON CONFLICT (address, topic) DO UPDATE SET reason = excluded.reason, source = excluded.source,
            event_at = excluded.event_at, event_key = excluded.event_key, delivery = excluded.delivery,
            at = excluded.at, removed_at = NULL, removed_by = NULL
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
