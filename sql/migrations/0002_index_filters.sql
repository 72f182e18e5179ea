-- What the query API's filters are found by: words, and keys that events share.

-- Upper and lower case made equal; each character by itself, as `fold` in functions/query_events/keywords.py does.
CREATE FUNCTION fold(value text) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN lower(value COLLATE "pg_c_utf8");

-- A text as words with one space around each: what separates them is a regular expression.
CREATE FUNCTION space_words(value text, separator text) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN regexp_replace(' ' || lower(value COLLATE "pg_c_utf8") || ' ', separator, ' ', 'g');

-- The words of a keyword filter: spaces, dashes and underscores separate them.
CREATE FUNCTION split_words(value text) RETURNS text[]
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN string_to_array(regexp_replace(lower(value COLLATE "pg_c_utf8"), '[-_ ]+', ' ', 'g'), ' ');

-- Words and tags of mailings.
CREATE INDEX mailings_words ON mailings
    USING gin (split_words(campaign), split_words(template), split_words(subject), split_words(ab_test), tags);
CREATE INDEX mailings_sender_key ON mailings (sender_key);
-- Beginnings.
CREATE INDEX mailings_campaign ON mailings (fold(campaign) text_pattern_ops);
CREATE INDEX mailings_template ON mailings (fold(template) text_pattern_ops);

-- One column each, so that equal entries are kept as one with a list of rows.
CREATE INDEX events_kind_key ON events (kind_key);
CREATE INDEX events_receiver_key ON events (receiver_key);
CREATE INDEX events_client_key ON events (client_key) WHERE client_key IS NOT NULL;
CREATE INDEX events_transmission_id ON events (transmission_id);

-- Tells the planner of a partition that was never analysed what all partitions are like: it would take any recipient
-- for frequent, and read the whole time range. The first ANALYZE puts the truth in its place.
CREATE FUNCTION guess_statistics(partition text) RETURNS void LANGUAGE plpgsql AS
$$
BEGIN
    PERFORM pg_restore_attribute_stats(
        'schemaname', 'public', 'relname', partition, 'attname', attname, 'inherited', false,
        'null_frac', null_frac, 'avg_width', avg_width, 'n_distinct', n_distinct)
    FROM (VALUES
        -- column, part that is null, bytes, different values: of each row if below zero
        ('recipient', 0::real, 24, -0.1::real),
        ('message_id', 0, 21, -0.3),
        ('transmission_id', 0, 19, -0.1),
        ('mailing_key', 0, 8, -0.1),
        ('receiver_key', 0, 8, 1000),
        ('kind_key', 0, 8, 30),
        ('client_key', 0.8, 8, 500)) AS guess (attname, null_frac, avg_width, n_distinct)
    WHERE NOT EXISTS (SELECT FROM pg_stats WHERE schemaname = 'public' AND tablename = partition);
END
$$;
REVOKE ALL ON FUNCTION guess_statistics FROM PUBLIC;

CREATE OR REPLACE FUNCTION create_events_partition(instant timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS
$$
DECLARE
    month timestamptz := date_trunc('month', instant);
    partition text := 'events_p' || to_char(month, 'YYYYMMDD');
BEGIN
    IF to_regclass(partition) IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtext('create_events_partition'));
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)',
                       partition, month, month + interval '1 month');
        PERFORM guess_statistics(partition);
    END IF;
END
$$;

SELECT guess_statistics(partition) FROM events_partitions;

-- The domain that a mailing was sent from: what the provider says, or that of the address in From.
CREATE FUNCTION find_sending_domain(address text, shared text) RETURNS text
    IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN coalesce(CASE WHEN shared LIKE '%"sending_domain"%' THEN shared::json ->> 'sending_domain' END,
                    substring(address FROM '@([^@>\s]+)>?\s*$'));

-- Whether one of the texts is like one of the patterns, in any case.
CREATE FUNCTION begins_one(texts text[], patterns text[]) RETURNS boolean
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN EXISTS (SELECT FROM unnest(texts) AS value WHERE fold(value) LIKE ANY (patterns));
