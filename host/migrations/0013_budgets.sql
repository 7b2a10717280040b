-- Budgets of tokens, and the ledger of what became of them. Tokens of a budget's window are free,
-- leased to a host, or spent; every movement between these accounts is two entries whose sum is zero.
-- Whoever changes anything of a window changes its row first, and so has the window for itself.

CREATE TABLE budgets (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    -- The id of the API key whose calls it is for; none is all of the tenant's.
    key TEXT REFERENCES keys (id) ON DELETE CASCADE,
    -- The session of that key; empty for all of them, and for calls without one.
    session TEXT NOT NULL,
    -- `minute`, `day`, `month` or `lifetime`.
    span TEXT NOT NULL,
    tokens BIGINT NOT NULL CHECK (tokens >= 0),
    -- 1 where calls beyond it are refused, 0 where they are only counted.
    is_hard BIGINT NOT NULL,
    set_at BIGINT NOT NULL,
    -- When it was set, or a host last asked for some of it.
    touched_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX budgets_by_level ON budgets (tenant, COALESCE(key, ''), session, span);

CREATE INDEX budgets_by_key ON budgets (key, session);

CREATE TABLE budget_windows (
    id TEXT NOT NULL PRIMARY KEY,
    budget TEXT NOT NULL REFERENCES budgets (id) ON DELETE CASCADE,
    -- 0 for a lifetime.
    starts_at BIGINT NOT NULL,
    -- The sums of its entries in `spent` and in `leased`.
    posted BIGINT NOT NULL CHECK (posted >= 0),
    leased BIGINT NOT NULL CHECK (leased >= 0),
    UNIQUE (budget, starts_at)
);

-- What one run of a host may spend of a window without asking again.
CREATE TABLE leases (
    id TEXT NOT NULL PRIMARY KEY,
    budget_window TEXT NOT NULL REFERENCES budget_windows (id) ON DELETE CASCADE,
    host TEXT NOT NULL,
    -- Another one with every start of the host.
    fence TEXT NOT NULL,
    tokens BIGINT NOT NULL,
    -- Of these, what is posted.
    spent BIGINT NOT NULL CHECK (spent >= 0 AND spent <= tokens),
    -- `pending`, `posted`, `voided` or `expired`.
    state TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    -- From then on a pending one is lost.
    ends_at BIGINT NOT NULL,
    settled_at BIGINT
);

CREATE INDEX leases_by_window ON leases (budget_window);

CREATE INDEX leases_pending ON leases (ends_at) WHERE state = 'pending';

CREATE TABLE ledger_entries (
    -- Two entries have the same one.
    movement TEXT NOT NULL,
    -- `free`, `leased` or `spent`.
    account TEXT NOT NULL,
    budget_window TEXT NOT NULL REFERENCES budget_windows (id) ON DELETE CASCADE,
    -- None where the use of a soft budget was counted.
    lease TEXT,
    -- `lease`, `post`, `release`, `expire` or `count`.
    kind TEXT NOT NULL,
    -- Into the account, or out of it where negative.
    tokens BIGINT NOT NULL,
    made_at BIGINT NOT NULL,
    PRIMARY KEY (movement, account)
);

CREATE INDEX ledger_entries_by_window ON ledger_entries (budget_window);
