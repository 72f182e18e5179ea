-- A connection plans this once, maybe while the table is small and nothing is known of it: then it would read the whole table at each
-- call until the next ANALYZE, however many addresses there are by then.
ALTER FUNCTION suppress(json) SET enable_seqscan = off;
ALTER FUNCTION suppress(json) SET enable_hashjoin = off;
ALTER FUNCTION suppress(json) SET enable_mergejoin = off;
