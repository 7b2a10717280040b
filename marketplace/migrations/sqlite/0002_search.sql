-- The words of each capsule's newest version; rowid is packages.id. The content is not kept twice.

CREATE VIRTUAL TABLE package_words USING fts5 (
    name, keywords, description, tools,
    content = '', contentless_delete = 1,
    tokenize = 'porter unicode61 remove_diacritics 2'
);
