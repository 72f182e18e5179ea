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

GRANT INSERT, SELECT, UPDATE ON deliveries TO mailwake_loader;
GRANT SELECT ON notifications, email_templates, deliveries, suppressions TO mailwake_query;
GRANT SELECT, INSERT, UPDATE, DELETE ON notifications, email_templates, mailed, outbox, suppressions TO mailwake_evaluator;
