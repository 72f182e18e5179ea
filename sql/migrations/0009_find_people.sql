-- Whose an activity or a mail is: who is one person shares the text, and it changes when people turn out to be one.
CREATE INDEX identities_value ON identities (value);

CREATE VIEW activity_people AS
SELECT activity.occurred_at, activity.activity_key, 'person ' || who.person_id AS person
FROM activities activity JOIN identities who USING (identity_id);

-- The user that the sender named, though no other trace of it be known; else whoever has the address; else the address.
CREATE VIEW mail_people AS
SELECT mail.occurred_at, mail.event_key,
       CASE WHEN mail.user_key IS NULL THEN coalesce('person ' || owner.person_id, 'address ' || mail.recipient)
            ELSE coalesce('person ' || named.person_id, 'user ' || mail.user_key) END AS person
FROM events mail
LEFT JOIN identities named ON named.content_key = mail.user_key
LEFT JOIN identities owner
       ON mail.user_key IS NULL AND owner.identity_type = 'address' AND owner.value = mail.recipient;

GRANT SELECT ON activity_people, mail_people TO mailwake_query;
