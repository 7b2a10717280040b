-- A grant belongs to an installation, and ends with it: one that comes while its capsule is being
-- uninstalled must not wait there for the next of that name.

CREATE TABLE grants_of_installations (
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    log TEXT,
    body TEXT NOT NULL,
    revision TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    granted_by TEXT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (tenant, namespace, name),
    FOREIGN KEY (tenant, namespace, name) REFERENCES capsules (tenant, namespace, name)
        ON DELETE CASCADE
);

INSERT INTO grants_of_installations
SELECT g.tenant, g.namespace, g.name, g.log, g.body, g.revision, g.granted_at, g.granted_by,
       g.expires_at
FROM grants g
JOIN capsules c ON c.tenant = g.tenant AND c.namespace = g.namespace AND c.name = g.name;

DROP TABLE grants;

ALTER TABLE grants_of_installations RENAME TO grants;
