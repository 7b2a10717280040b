-- What follows from the logs of the marketplaces, which namespace comes from which of them, and
-- where an installed capsule came from. A log is named by its key (C2SP vkey), which has its origin
-- in it. Documents are JSON; times in a log are Unix seconds, others milliseconds.

CREATE TABLE logs (
    log TEXT NOT NULL PRIMARY KEY,
    url TEXT NOT NULL,
    -- The edge of what was seen of it.
    size BIGINT NOT NULL,
    frontier TEXT NOT NULL,
    leaf_time BIGINT NOT NULL,
    -- The newest checkpoint that was verified, and when.
    checkpoint TEXT,
    verified_at BIGINT,
    -- Why it is not believed any more, and the checkpoint that contradicts the one above.
    distrusted TEXT,
    evidence TEXT,
    distrusted_at BIGINT
);

CREATE TABLE log_namespaces (
    log TEXT NOT NULL REFERENCES logs (log) ON DELETE CASCADE,
    namespace TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (log, namespace)
);

CREATE TABLE log_releases (
    log TEXT NOT NULL REFERENCES logs (log) ON DELETE CASCADE,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    -- `current`, `yanked` or `revoked`.
    standing TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (log, namespace, name, version)
);

-- Outlives its log: what was revoked stays so when a marketplace is removed.
CREATE TABLE revocations (
    log TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (log, digest)
);

CREATE TABLE pins (
    namespace TEXT NOT NULL PRIMARY KEY,
    log TEXT NOT NULL,
    -- The owners' keys when something was last installed from it.
    keys TEXT NOT NULL,
    pinned_at BIGINT NOT NULL
);

ALTER TABLE capsules ADD COLUMN log TEXT;

ALTER TABLE capsules ADD COLUMN leaf BIGINT;
