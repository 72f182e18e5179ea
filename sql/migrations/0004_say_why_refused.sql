-- Why a message was refused: few different values, so that they are a part of the event's kind.
ALTER TABLE kinds
    ADD COLUMN reject_reason text CHECK (reject_reason IN (
        'invalid', 'bounced', 'timed_out', 'blocked', 'spam', 'unsubscribed', 'other')),
    ADD COLUMN smtp_code int CHECK (smtp_code BETWEEN 200 AND 599),
    ADD COLUMN enhanced_status text;
