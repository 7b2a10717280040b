-- Calls that were sent with an `Idempotency-Key`, for each to run once: that they have begun, and what
-- they were answered.

CREATE TABLE answers (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    -- The id of the API key, which is its tenant's alone.
    key TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    -- The sha256 of what was asked for.
    request TEXT NOT NULL,
    invocation TEXT NOT NULL,
    -- `pending` or `ended`.
    state TEXT NOT NULL,
    -- Who runs it.
    host TEXT NOT NULL,
    -- Another one with every start of the host.
    fence TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    -- From then on it is forgotten.
    ends_at BIGINT NOT NULL,
    -- None while it is pending.
    status BIGINT,
    -- None where it is too long to be kept, too. Last, so that nothing is read across it.
    body BYTEA,
    PRIMARY KEY (tenant, key, idempotency_key)
);

CREATE INDEX answers_by_end ON answers (ends_at);
