-- API calls and actions of each hour, packed once it is over. docs/decisions/0010-usage.md tells why.

-- One row an hour. Each call is one entry of the arrays, which go together; so is each action of those of actions.
CREATE TABLE usage_hours (
    hour              timestamptz PRIMARY KEY,         -- its first instant
    ready             boolean NOT NULL DEFAULT false,  -- false: announced, and read from the activities as yet
    minutes           smallint[],                      -- of the hour
    outcomes          smallint[],                      -- functions/common/usage_hours.py
    operations        int[],
    identities        int[],
    companies         int[],
    agents            int[],
    durations         int[],
    weights           int[],                           -- null where each counts once; so is a weight of 1
    action_operations int[],
    action_identities int[],
    action_companies  int[],
    action_agents     int[],
    action_weights    int[]
);

-- Hours whose activities changed since they were announced, as stale_hours.
CREATE TABLE usage_stale_hours (
    hour timestamptz NOT NULL
);

-- What an identity did first, as far as hours are packed.
CREATE TABLE first_activities (
    first_of     text        NOT NULL CHECK (first_of IN ('activity', 'call', 'success', 'company')),
    who          int         NOT NULL,  -- → identities: of `company` a company, else a user
    occurred_at  timestamptz NOT NULL,
    activity_key bigint      NOT NULL,
    operation_id int         NOT NULL,
    identity_id  int,
    company_id   int,
    agent_id     int,
    PRIMARY KEY (first_of, who)
);

-- Forgets what happened before an instant, and finds what identities did first since then. The partitions before it are gone.
CREATE FUNCTION forget_usage(until timestamptz) RETURNS void
    LANGUAGE plpgsql SET timezone = 'UTC' AS
$$
DECLARE
    week timestamptz;
BEGIN
    DELETE FROM usage_hours WHERE hour < until;
    DELETE FROM usage_stale_hours WHERE hour < until;
    FOR week IN SELECT starts_at FROM activities_partitions WHERE starts_at >= until ORDER BY starts_at LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM first_activities WHERE occurred_at < until);
        UPDATE first_activities AS known
        SET (occurred_at, activity_key, operation_id, identity_id, company_id, agent_id)
            = (found.occurred_at, found.activity_key, found.operation_id, found.identity_id, found.company_id,
               found.agent_id)
        FROM (SELECT DISTINCT ON (first_of, who) first_of, who, a.*
              FROM activities a
              JOIN operations o USING (operation_id)
              CROSS JOIN LATERAL (VALUES
                  ('activity', a.identity_id),
                  ('call', CASE WHEN o.activity_type = 'call' THEN a.identity_id END),
                  ('success', CASE WHEN o.activity_type = 'call' AND o.status < 400 THEN a.identity_id END),
                  ('company', CASE WHEN o.activity_type = 'call' THEN a.company_id END)) AS v (first_of, who)
              JOIN first_activities forgotten USING (first_of, who)
              WHERE a.occurred_at >= week AND a.occurred_at < week + interval '7 days'
                AND forgotten.occurred_at < until
              ORDER BY first_of, who, a.occurred_at, a.activity_key) AS found
        WHERE (known.first_of, known.who) = (found.first_of, found.who);
    END LOOP;
    DELETE FROM first_activities WHERE occurred_at < until;
END
$$;
REVOKE ALL ON FUNCTION forget_usage FROM PUBLIC;

GRANT SELECT (hour) ON usage_hours TO mailwake_loader;
GRANT INSERT ON usage_stale_hours TO mailwake_loader;
GRANT SELECT ON usage_hours, usage_stale_hours, first_activities, activities_partitions TO mailwake_query;
