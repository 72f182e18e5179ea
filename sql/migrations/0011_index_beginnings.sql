-- Finds addresses by their beginning too, in the order of bytes, whatever the database's collation.
DROP INDEX events_recipient;
CREATE INDEX events_recipient ON events (recipient text_pattern_ops);
