-- Mails to members: who waits for one, what was written, and whether they are paused. docs/notifications.md tells the rules.

-- A mail that is due, until it is written to the outbox or dropped.
CREATE TABLE mails_due (
    id              text        PRIMARY KEY,  -- of the outbox's object
    notification_id int         NOT NULL,     -- → notifications
    subject_id      int         NOT NULL,     -- → identities: the person's own
    entered_at      timestamptz NOT NULL,
    cause           jsonb       NOT NULL,     -- of the transition
    due_at          timestamptz NOT NULL,     -- the tick that found it due
    ready_at        timestamptz NOT NULL,     -- nothing changes before
    waits_for       text        NOT NULL DEFAULT 'turn' CHECK (waits_for IN ('turn', 'quiet', 'capped')),
    dropped         text                      -- why it does not go, in words, until that is reported
);
CREATE UNIQUE INDEX mails_due_subject ON mails_due (notification_id, subject_id) WHERE dropped IS NULL;
CREATE INDEX mails_due_ready ON mails_due (notification_id, ready_at, due_at, entered_at, id) WHERE dropped IS NULL;
CREATE INDEX mails_due_age ON mails_due (notification_id, due_at) WHERE dropped IS NULL;
CREATE INDEX mails_due_pages ON mails_due (due_at, hashtextextended(id, 0)) WHERE dropped IS NULL;
CREATE INDEX mails_due_person ON mails_due (subject_id);
CREATE INDEX mails_due_dropped ON mails_due (due_at, id) WHERE dropped IS NOT NULL;

-- The mails of the last days, for the caps: those who are held out got none.
CREATE TABLE mails_written (
    subject_id int         NOT NULL,  -- → identities: the person's own
    at         timestamptz NOT NULL
);
CREATE INDEX mails_written_subject ON mails_written (subject_id, at);
CREATE INDEX mails_written_at ON mails_written (at);

-- When nothing is mailed to members: by hand, or since too many bounced or complained.
CREATE TABLE mail_pauses (
    pause_id   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at   timestamptz NOT NULL,
    reason     text        NOT NULL CHECK (reason IN ('bounces', 'complaints', 'by_hand')),
    began_by   text,                  -- who did it by hand
    mails      int,                   -- the last ones that were counted, and of these
    bounces    int,
    complaints int,
    ended_at   timestamptz,
    ended_by   text
);
CREATE UNIQUE INDEX mail_pauses_open ON mail_pauses ((true)) WHERE ended_at IS NULL;

-- What a person was mailed stays hers when she turns out to be another one: how ticks find it, and those of before.
CREATE INDEX mailed_subject ON mailed (subject_id);
CREATE INDEX mailed_at ON mailed (notification_id, at);
WITH moved AS (
    DELETE FROM mailed m USING identities i WHERE i.identity_id = m.subject_id AND i.person_id <> i.identity_id
    RETURNING m.notification_id, i.person_id, m.at, m.times
)
INSERT INTO mailed AS known (notification_id, subject_id, at, times)
SELECT notification_id, person_id, max(at), sum(times) FROM moved GROUP BY 1, 2
ON CONFLICT (notification_id, subject_id) DO UPDATE
SET at = greatest(known.at, excluded.at), times = known.times + excluded.times;

-- The last mails to members, for the share that bounced or complained.
CREATE INDEX deliveries_mailed ON deliveries (at) WHERE channel = 'mail' AND state = 'sent';

GRANT SELECT, INSERT, UPDATE, DELETE ON mails_due, mails_written, mail_pauses TO mailwake_evaluator;
GRANT SELECT ON deliveries TO mailwake_evaluator;
GRANT SELECT ON mails_due, mail_pauses TO mailwake_query;
