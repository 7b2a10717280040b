-- What a credential was exchanged for, where servers are shown that and not the credential itself.

-- Sealed like the credential, and bound to being a token.
ALTER TABLE secrets ADD COLUMN token TEXT;

ALTER TABLE secrets ADD COLUMN token_ends_at BIGINT;

-- The host that is at it has the turn until then: an exchange can use the credential up.
ALTER TABLE secrets ADD COLUMN turn_until BIGINT;
