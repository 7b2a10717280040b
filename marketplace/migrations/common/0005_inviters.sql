-- Whoever sent an invitation is shown it too. Those from before this are shown to whom they are for.
ALTER TABLE invitations ADD COLUMN inviter TEXT;
