-- Finds the batches of one of the provider's ids.
CREATE INDEX batches_provider_batch_id ON batches (provider_batch_id) WHERE provider_batch_id IS NOT NULL;

-- Whether a batch may be loaded whose provider gives an id to one body only: another body that arrived before under the
-- same id is the right one. What arrived later with another body, and is loaded already, is set aside: so it is the
-- order of arrival that decides, not the order of loading, and a replay in any order ends alike. A body is known by the
-- last part of its object's key, which is made from it.
CREATE FUNCTION claim_batch_id(whose text, id text, arrived_at timestamptz, key text, why text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS
$$
DECLARE
    body text := substring(key FROM '[^/]*$');
    other record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(whose || ' ' || id, 0));
    SELECT substring(object_key FROM '[^/]*$') AS body INTO other FROM batches
    WHERE provider = whose AND provider_batch_id = id AND (received_at, object_key) < (arrived_at, key)
    ORDER BY received_at, object_key LIMIT 1;
    IF FOUND AND other.body <> body THEN
        RETURN false;
    END IF;
    FOR other IN
        SELECT batch_id, object_key, received_at FROM batches
        WHERE provider = whose AND provider_batch_id = id AND (received_at, object_key) > (arrived_at, key)
          AND substring(object_key FROM '[^/]*$') <> body AND event_count > 0
    LOOP
        DELETE FROM events WHERE batch_id = other.batch_id;
        UPDATE batches SET event_count = 0, duplicate_count = 0, quarantine_count = 1, expired_count = 0
        WHERE batch_id = other.batch_id;
        DELETE FROM quarantine WHERE object_key = other.object_key;
        INSERT INTO quarantine (object_key, item_index, provider, reason, item, received_at)
        VALUES (other.object_key, NULL, whose, why, 'null', other.received_at);
    END LOOP;
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION claim_batch_id FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_batch_id TO mailwake_loader;
