-- Credentials that accompany capsules' requests. The value is sealed under the host's key for
-- secrets (XChaCha20-Poly1305), bound to tenant and name.

CREATE TABLE secrets (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- JSON: how it is shown to a server.
    presentation TEXT NOT NULL,
    -- Base64 of nonce and ciphertext.
    sealed TEXT NOT NULL,
    -- Another one with every change.
    revision TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);
