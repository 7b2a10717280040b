-- A credential can have another value for the calls of one API key, and can be read elsewhere for each
-- use instead of being kept here.

CREATE TABLE secrets_of_keys (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- The id of the API key whose calls it is for; empty for all of the tenant's that have none of
    -- their own. Deleted when the key is revoked.
    key TEXT NOT NULL,
    presentation TEXT NOT NULL,
    -- JSON: where the value is read. None where it is kept here.
    source TEXT,
    -- Empty where there is a source.
    sealed TEXT NOT NULL,
    revision TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    token TEXT,
    token_ends_at BIGINT,
    turn_until BIGINT,
    PRIMARY KEY (tenant, name, key)
);

INSERT INTO secrets_of_keys
    (tenant, name, key, presentation, sealed, revision, set_at, token, token_ends_at, turn_until)
SELECT tenant, name, '', presentation, sealed, revision, set_at, token, token_ends_at, turn_until
FROM secrets;

DROP TABLE secrets;

ALTER TABLE secrets_of_keys RENAME TO secrets;

CREATE INDEX secrets_by_key ON secrets (key);
