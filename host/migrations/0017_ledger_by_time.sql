-- Old movements of a window are put together, and found without reading the others.
CREATE INDEX ledger_entries_by_time ON ledger_entries (made_at);
