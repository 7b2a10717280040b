-- What capsules send, and are denied, while an administrator has it recorded: for the smallest grant
-- to be made of it.

CREATE TABLE watches (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The key of the log that the capsule came from, empty for a file.
    log TEXT NOT NULL,
    began_at BIGINT NOT NULL,
    -- The key of who began it.
    began_by TEXT NOT NULL,
    ends_at BIGINT NOT NULL,
    -- 1 where there was more than there is room for.
    is_full BIGINT NOT NULL,
    UNIQUE (tenant, namespace, name),
    FOREIGN KEY (tenant, namespace, name) REFERENCES capsules (tenant, namespace, name)
        ON DELETE CASCADE
);

CREATE TABLE watched_requests (
    watch TEXT NOT NULL REFERENCES watches (id) ON DELETE CASCADE,
    method TEXT NOT NULL,
    origin TEXT NOT NULL,
    -- Without the query; of at most 1024 bytes.
    path TEXT NOT NULL,
    -- As in `query a, mutation b`; empty where none was seen, which may be any. At most 1024 bytes.
    operations TEXT NOT NULL,
    -- 1 where it was allowed once, 0 where it was always denied.
    is_allowed BIGINT NOT NULL,
    PRIMARY KEY (watch, method, origin, path, operations)
);
