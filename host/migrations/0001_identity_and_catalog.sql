-- One text for SQLite and Postgres: TEXT and BIGINT columns only, times in milliseconds since
-- 1970-01-01T00:00:00Z.

CREATE TABLE tenants (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    suspended_at BIGINT
);

CREATE TABLE keys (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    secret_sha256 TEXT NOT NULL,
    scopes TEXT NOT NULL,
    tools TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

CREATE INDEX keys_by_tenant ON keys (tenant);

CREATE TABLE capsules (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    size BIGINT NOT NULL,
    installed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, namespace, name)
);

CREATE INDEX capsules_by_digest ON capsules (digest);
