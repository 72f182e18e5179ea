-- Deliveries as far as they are known: of a mail whose attempt got no answer SES's own events tell that it went. They name its
-- id in a tag; an event is found by its recipient. It may be loaded before the report or behind it.
CREATE VIEW known_deliveries AS
SELECT d.id, d.attempt, d.at, d.notification, d.cohort, d.channel, d.recipient, d.status, d.template, d.template_version, d.user_name,
       d.batch_id,
       CASE WHEN told.event_key IS NULL THEN d.state ELSE 'sent' END AS state,
       coalesce(d.message_id, told.message_id) AS message_id,
       CASE WHEN told.event_key IS NULL THEN d.error ELSE 'SES gave no answer; its event tells that the mail went' END AS error,
       told.occurred_at AS event_at,
       told.event_key
FROM deliveries d
LEFT JOIN LATERAL (
    SELECT e.occurred_at, e.event_key, e.message_id
    FROM events e
    WHERE d.state = 'unknown'
      AND e.recipient = ANY (string_to_array(lower(d.recipient), ', '))
      -- An attempt is reported as unknown up to half an hour behind it; events of a mail come for some days.
      AND e.occurred_at >= d.at - interval '1 day' AND e.occurred_at < d.at + interval '3 days'
      AND e.metadata ->> 'mailwake-id' = d.id
    ORDER BY e.occurred_at, e.event_key LIMIT 1) AS told ON true;

-- Pages of whom not to mail, the newest first, also among many that were imported at once.
CREATE INDEX suppressions_at ON suppressions (at, hashtextextended(topic || ' ' || address, 0));

GRANT SELECT ON known_deliveries TO mailwake_query;
-- Lists that are imported are kept as what events forbid is.
GRANT EXECUTE ON FUNCTION suppress TO mailwake_evaluator;
