-- What came in, newest first.
CREATE INDEX batches_received_at ON batches (received_at, batch_id);
CREATE INDEX quarantine_received_at ON quarantine (received_at, object_key);
