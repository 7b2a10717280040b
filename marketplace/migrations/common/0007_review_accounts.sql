-- Whoever looks at a publication is told who sent it.
ALTER TABLE reviews ADD COLUMN account TEXT;
