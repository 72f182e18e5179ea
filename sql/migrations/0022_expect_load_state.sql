-- What a loader remembers to be stored holds for these tables: truncating one gives it another file, and deleting from mailings counts up.
CREATE FUNCTION find_load_state() RETURNS text LANGUAGE plpgsql STABLE AS
$$
BEGIN
    RETURN concat_ws(' ', (SELECT last_value FROM dimensions_generation), pg_relation_filenode('kinds'),
                     pg_relation_filenode('senders'), pg_relation_filenode('mailings'), pg_relation_filenode('receivers'),
                     pg_relation_filenode('clients'));
END
$$;

-- A batch is prepared before its transaction: this fails, inside of it, where what was relied on holds no more. What is older than
-- late_before changes hours that are counted already. Whoever may not load the batch under its provider's id says so by claimed.
CREATE FUNCTION expect_load_state(state text, late_before timestamptz, claimed boolean) RETURNS void LANGUAGE plpgsql AS
$$
BEGIN
    IF NOT claimed OR state <> find_load_state()
       OR late_before IS DISTINCT FROM (SELECT max(hour) + interval '2 hours' FROM summaries) THEN
        RAISE EXCEPTION 'a batch was prepared for another state than this' USING ERRCODE = 'MW001';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION find_load_state, expect_load_state FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_load_state, expect_load_state TO mailwake_loader;
