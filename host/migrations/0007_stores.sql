-- What capsules keep from call to call. A store is a tenant's capsule's, and ends with its
-- installation.

CREATE TABLE stores (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The key of the log that the capsule came from, empty for a file: another publisher's capsule
    -- of the same name has another store.
    log TEXT NOT NULL,
    -- Of keys and values, and what each entry takes besides. Whoever changes an entry changes this
    -- row first, and so has the store for itself.
    used_bytes BIGINT NOT NULL,
    UNIQUE (tenant, namespace, name, log),
    FOREIGN KEY (tenant, namespace, name) REFERENCES capsules (tenant, namespace, name)
        ON DELETE CASCADE
);

-- Keys are bytes, so that their order is the same everywhere. SQLite takes BYTEA for what it is
-- given, which is a BLOB.
CREATE TABLE store_entries (
    store TEXT NOT NULL REFERENCES stores (id) ON DELETE CASCADE,
    key BYTEA NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (store, key)
);
