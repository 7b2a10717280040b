-- The same offer twice would be accepted once it was withdrawn once.
DELETE FROM invitations WHERE change_id IS NOT NULL AND EXISTS (
    SELECT 1 FROM invitations other
    WHERE other.namespace = invitations.namespace AND other.change_id = invitations.change_id
        AND other.id < invitations.id);

CREATE UNIQUE INDEX invitations_change ON invitations (namespace, change_id);
