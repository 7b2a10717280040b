-- Calls that the key may make in a minute, where that is less than the host allows every key.
ALTER TABLE keys ADD COLUMN calls_per_minute BIGINT;
