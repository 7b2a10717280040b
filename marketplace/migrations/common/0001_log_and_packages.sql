-- One text for SQLite and Postgres: TEXT and BIGINT columns only, times in Unix seconds.

-- One row: the tree's right edge, and the time of its last leaf. Appending begins by updating it,
-- which makes everybody else wait.
CREATE TABLE log (
    id BIGINT NOT NULL PRIMARY KEY,
    origin TEXT NOT NULL,
    frontier TEXT NOT NULL,
    time BIGINT NOT NULL
);

CREATE TABLE leaves (
    leaf BIGINT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    namespace TEXT NOT NULL,
    -- Whether it is about owners and keys, which a bundle must show.
    owners BIGINT NOT NULL
);

CREATE INDEX leaves_by_namespace ON leaves (namespace, owners, leaf);

-- Every complete subtree's hash, in base64, by RFC 6962 position as tlog numbers them.
CREATE TABLE hashes (
    hash_index BIGINT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL
);

CREATE TABLE namespaces (
    name TEXT NOT NULL PRIMARY KEY,
    -- The name as the eye might take it: nothing else may look like it.
    skeleton TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL
);

CREATE TABLE packages (
    -- The leaf that published its first version: what the search's tables know it by.
    id BIGINT NOT NULL UNIQUE,
    namespace TEXT NOT NULL REFERENCES namespaces (name),
    name TEXT NOT NULL,
    skeleton TEXT NOT NULL,
    latest TEXT NOT NULL,
    description TEXT NOT NULL,
    keywords TEXT NOT NULL,
    -- Whether a version of it may be chosen: if not, no search finds it.
    current BIGINT NOT NULL,
    downloads BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (namespace, name),
    UNIQUE (namespace, skeleton)
);

CREATE INDEX packages_by_downloads ON packages (downloads DESC, namespace, name);

CREATE TABLE package_keywords (
    keyword TEXT NOT NULL,
    package BIGINT NOT NULL,
    PRIMARY KEY (keyword, package)
);

CREATE INDEX package_keywords_by_package ON package_keywords (package);

-- Hosts that it asks to talk to, `*.` patterns as they are.
CREATE TABLE package_hosts (
    host TEXT NOT NULL,
    package BIGINT NOT NULL,
    PRIMARY KEY (host, package)
);

CREATE INDEX package_hosts_by_package ON package_hosts (package);

CREATE TABLE releases (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    statement TEXT NOT NULL,
    manifest TEXT NOT NULL,
    tools TEXT NOT NULL,
    size BIGINT NOT NULL,
    leaf BIGINT NOT NULL,
    PRIMARY KEY (namespace, name, version),
    FOREIGN KEY (namespace, name) REFERENCES packages (namespace, name)
);

CREATE INDEX releases_by_digest ON releases (digest);

CREATE TABLE accounts (
    name TEXT NOT NULL PRIMARY KEY,
    key TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE challenges (
    challenge TEXT NOT NULL PRIMARY KEY,
    expires BIGINT NOT NULL
);

CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (name),
    name TEXT NOT NULL,
    secret_sha256 TEXT NOT NULL,
    scopes TEXT NOT NULL,
    namespaces TEXT,
    expires BIGINT NOT NULL
);

CREATE INDEX tokens_by_account ON tokens (account);

CREATE TABLE invitations (
    id TEXT NOT NULL PRIMARY KEY,
    namespace TEXT NOT NULL REFERENCES namespaces (name),
    account TEXT NOT NULL,
    change TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE INDEX invitations_by_account ON invitations (account);

CREATE TABLE reviews (
    id TEXT NOT NULL PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    reason TEXT NOT NULL,
    statement TEXT NOT NULL,
    change TEXT NOT NULL,
    since BIGINT NOT NULL
);

CREATE INDEX reviews_by_digest ON reviews (digest);
