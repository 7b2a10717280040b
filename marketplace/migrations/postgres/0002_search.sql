-- The words of each capsule's newest version; id is packages.id.

CREATE TABLE package_words (
    id BIGINT NOT NULL PRIMARY KEY,
    words TSVECTOR NOT NULL
);

CREATE INDEX package_words_by_word ON package_words USING GIN (words);
