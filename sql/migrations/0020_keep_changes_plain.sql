-- What changed is read once and deleted within minutes: compressing it takes a loader as long as storing it.
ALTER TABLE changes ALTER touched SET STORAGE EXTERNAL;
