-- Samples of Prometheus's series.
CREATE TABLE series (
    series_id   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content_key bigint NOT NULL UNIQUE,  -- hash of the labels
    name        text   NOT NULL,         -- of the metric
    labels      jsonb  NOT NULL,         -- the others
    identity_id int,                     -- → identities: the user whom the label user_id names
    company_id  int                      -- → identities: the company whom the label company_id names
);
CREATE INDEX series_name ON series (name);

CREATE TABLE samples (
    series_id  int         NOT NULL,  -- → series
    sampled_at timestamptz NOT NULL,
    value      float8                 -- null ends the series: Prometheus's stale marker
) PARTITION BY RANGE (sampled_at);

-- Tells a sample that came again; the first one stands.
CREATE UNIQUE INDEX samples_series_id_sampled_at ON samples (series_id, sampled_at);

-- As of activities.
CREATE FUNCTION create_samples_partition(instant timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS
$$
DECLARE
    week timestamptz := date_trunc('week', instant);
    partition text := 'samples_p' || to_char(week, 'YYYYMMDD');
BEGIN
    IF to_regclass(partition) IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtext('create_samples_partition'));
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF samples FOR VALUES FROM (%L) TO (%L)',
                       partition, week, week + interval '7 days');
    END IF;
END
$$;
REVOKE ALL ON FUNCTION create_samples_partition FROM PUBLIC;

CREATE VIEW samples_partitions AS
SELECT c.oid::regclass::text AS partition, to_timestamp(right(c.relname, 8), 'YYYYMMDD') AS starts_at
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'samples'::regclass;

-- How much a counter grew between two instants: after the first, up to and with the second. A counter that fell began
-- anew from 0. It is measured from the last sample before, if there is one; stale markers and NaN count for nothing.
CREATE FUNCTION count_increase(series int, after timestamptz, until timestamptz) RETURNS float8
    STABLE STRICT PARALLEL SAFE LANGUAGE sql
    RETURN (SELECT sum(CASE WHEN value >= previous THEN value - previous WHEN value < previous THEN value END)
            FROM (SELECT sampled_at, value, lag(value) OVER (ORDER BY sampled_at) AS previous
                  FROM samples
                  WHERE series_id = series AND sampled_at <= until AND value <> 'NaN'
                    AND sampled_at >= coalesce((SELECT max(sampled_at) FROM samples
                                                WHERE series_id = series AND sampled_at <= after AND value <> 'NaN'),
                                               after)) AS steps
            WHERE sampled_at > after);

GRANT EXECUTE ON FUNCTION create_samples_partition TO mailwake_loader;
GRANT SELECT, INSERT ON series, samples TO mailwake_loader;
GRANT SELECT ON series, samples TO mailwake_query;
