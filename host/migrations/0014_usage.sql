-- What calls used, summed for each day (UTC), key and tool, and each list of prices and engine that
-- they were reckoned by.

CREATE TABLE usage_days (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    -- The beginning of the day.
    day BIGINT NOT NULL,
    -- The id of the API key, which may be revoked by now.
    key TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    tool TEXT NOT NULL,
    prices TEXT NOT NULL,
    engine TEXT NOT NULL,
    calls BIGINT NOT NULL,
    -- Of the calls, those without an answer.
    failed BIGINT NOT NULL,
    -- Without those of calls within the calls, which have rows of their own.
    tokens BIGINT NOT NULL,
    fuel BIGINT NOT NULL,
    time_us BIGINT NOT NULL,
    sent_bytes BIGINT NOT NULL,
    received_bytes BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, key, namespace, name, tool, prices, engine)
);

-- Tokens that a call with the key may cost at most, where it does not say so itself.
ALTER TABLE keys ADD COLUMN max_tokens BIGINT;
