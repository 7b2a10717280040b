-- What an operator gave to a tenant's capsule. The capsule is its name and the log it came from
-- when it was given: another publisher's capsule of the same name gets nothing.

CREATE TABLE grants (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The log's key; none where it came as a file.
    log TEXT,
    -- JSON, as docs/grants.md has it.
    body TEXT NOT NULL,
    -- Another one with every change.
    revision TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    -- The key of who granted it.
    granted_by TEXT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (tenant, namespace, name)
);
