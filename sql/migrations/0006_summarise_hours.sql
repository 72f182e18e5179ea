-- What happened in each hour, counted once it is over. docs/decisions/0006-metrics.md tells how the counts stay exact.

-- Who sent what: the words that counts are grouped by. Written by the one summariser only, which looks before it inserts.
CREATE TABLE summary_mailings (
    mailing_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider   text NOT NULL,
    campaign   text,
    template   text
);
CREATE TABLE summary_domains (
    domain_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    domain    text  -- of recipients' addresses
);

-- One row an hour. The arrays of a row go together: so often (counts) this (figures: functions/common/figures.py)
-- happened to mails of a mailing to a domain. The totals are the same without the domain, for the questions that name none.
CREATE TABLE summaries (
    hour           timestamptz PRIMARY KEY,         -- its first instant
    ready          boolean NOT NULL DEFAULT false,  -- false: announced, and counted over the events as yet
    mailings       int[],
    domains        int[],
    figures        int[],
    counts         int[],
    total_mailings int[],
    total_figures  int[],
    total_counts   int[]
);

-- Hours whose events changed since they were announced: whoever changed them says so in the same transaction. Without an
-- index, so that nobody waits for anybody.
CREATE TABLE stale_hours (
    hour timestamptz NOT NULL
);

GRANT SELECT (hour) ON summaries TO mailwake_loader;
GRANT INSERT ON stale_hours TO mailwake_loader;
GRANT SELECT ON summaries, stale_hours, summary_mailings, summary_domains TO mailwake_query;

-- Says that events came or went at these instants, and that what their messages' other events count as may have changed.
CREATE FUNCTION mark_stale(instants timestamptz[], ids text[]) RETURNS void
    LANGUAGE sql SET timezone = 'UTC' AS
$$
    INSERT INTO stale_hours (hour)
    SELECT date_trunc('hour', instant) FROM unnest(instants) AS instant
    UNION
    SELECT date_trunc('hour', other.occurred_at)
    FROM unnest(instants, ids) AS changed (instant, message_id)
    JOIN events other ON other.message_id = changed.message_id
     AND other.occurred_at >= changed.instant - interval '1 hour'
     AND other.occurred_at <= changed.instant + interval '30 days'
$$;
REVOKE ALL ON FUNCTION mark_stale FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mark_stale TO mailwake_loader;

-- As before, and marks the hours of what it deletes.
CREATE OR REPLACE FUNCTION claim_batch_id(whose text, id text, arrived_at timestamptz, key text, why text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS
$$
DECLARE
    body text := substring(key FROM '[^/]*$');
    other record;
    instants timestamptz[];
    ids text[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(whose || ' ' || id, 0));
    SELECT substring(object_key FROM '[^/]*$') AS body INTO other FROM batches
    WHERE provider = whose AND provider_batch_id = id AND (received_at, object_key) < (arrived_at, key)
    ORDER BY received_at, object_key LIMIT 1;
    IF FOUND AND other.body <> body THEN
        RETURN false;
    END IF;
    FOR other IN
        SELECT batch_id, object_key, received_at FROM batches
        WHERE provider = whose AND provider_batch_id = id AND (received_at, object_key) > (arrived_at, key)
          AND substring(object_key FROM '[^/]*$') <> body AND event_count > 0
    LOOP
        WITH gone AS (DELETE FROM events WHERE batch_id = other.batch_id RETURNING occurred_at, message_id)
        SELECT array_agg(occurred_at), array_agg(message_id) INTO instants, ids FROM gone;
        PERFORM mark_stale(instants, ids);
        UPDATE batches SET event_count = 0, duplicate_count = 0, quarantine_count = 1, expired_count = 0
        WHERE batch_id = other.batch_id;
        DELETE FROM quarantine WHERE object_key = other.object_key;
        INSERT INTO quarantine (object_key, item_index, provider, reason, item, received_at)
        VALUES (other.object_key, NULL, whose, why, 'null', other.received_at);
    END LOOP;
    RETURN true;
END
$$;
