-- Files of an installed capsule that do not serve calls: an update that waits for an administrator's
-- word (`held`), and what served before the one that serves (`previous`).

CREATE TABLE set_aside (
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    -- `held` or `previous`.
    standing TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    size BIGINT NOT NULL,
    installed_at BIGINT NOT NULL,
    log TEXT,
    leaf BIGINT,
    owners_since BIGINT,
    -- JSON: why it is held.
    reasons TEXT NOT NULL,
    PRIMARY KEY (tenant, namespace, name, standing),
    FOREIGN KEY (tenant, namespace, name) REFERENCES capsules (tenant, namespace, name)
        ON DELETE CASCADE
);

CREATE INDEX set_aside_by_digest ON set_aside (digest);

-- The leaf of the last change of the namespace's owners or keys when the file came; none where it
-- came as a file, or before this was kept.
ALTER TABLE capsules ADD COLUMN owners_since BIGINT;

-- The version that an administrator went back from, which serves again by nothing but a word.
ALTER TABLE capsules ADD COLUMN rolled_back TEXT;
