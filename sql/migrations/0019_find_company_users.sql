-- Which users are a company's: those whose newest trait company_id names it, by all that is known now.
ALTER TABLE trait_writes ADD COLUMN company_id int;  -- → identities: of a user's company_id the company that it names
UPDATE trait_writes w SET company_id = c.identity_id
FROM identities u, identities c
WHERE w.path = ARRAY['company_id'] AND u.identity_id = w.identity_id AND u.identity_type <> 'company'
  AND c.identity_type = 'company' AND to_json(c.value)::text = w.value;
CREATE INDEX trait_writes_company_id ON trait_writes (company_id) WHERE company_id IS NOT NULL;

CREATE OR REPLACE FUNCTION write_traits(rows json) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    INSERT INTO trait_writes AS known (identity_id, path, at, value, company_id)
    SELECT DISTINCT ON (identity_id, path, at) identity_id, path, at, value, company_id
    FROM json_to_recordset(rows) AS given (identity_id int, path text[], at timestamptz, value text, company_id int)
    ORDER BY identity_id, path, at, value COLLATE "C" DESC
    ON CONFLICT (identity_id, path, at) DO UPDATE SET value = excluded.value, company_id = excluded.company_id
    WHERE known.value COLLATE "C" < excluded.value COLLATE "C";
END;

-- The people of a company, each with the company.
CREATE VIEW company_people AS
SELECT w.company_id, i.person_id
FROM trait_writes w JOIN identities i USING (identity_id)
WHERE w.company_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM identities other JOIN trait_writes newer USING (identity_id)
                  WHERE other.person_id = i.person_id AND newer.path = ARRAY['company_id']
                    AND (newer.at, newer.value COLLATE "C", newer.identity_id)
                        > (w.at, w.value COLLATE "C", w.identity_id));

-- What a company's people did without naming a company; calls name one nearly always.
CREATE INDEX activities_unnamed ON activities (identity_id) WHERE company_id IS NULL AND identity_id IS NOT NULL;

GRANT SELECT ON company_people TO mailwake_evaluator;
