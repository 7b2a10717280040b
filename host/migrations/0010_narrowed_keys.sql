-- What calls with a key may use of each capsule's grant, as JSON; null where that is all of it.
ALTER TABLE keys ADD COLUMN narrowed TEXT;
