-- An invitation that was taken back is kept: what an owner signed for it is still in somebody's
-- hands, and is accepted no more. Offers from before this have no id of their change.
ALTER TABLE invitations ADD COLUMN withdrawn BIGINT;

ALTER TABLE invitations ADD COLUMN change_id TEXT;
