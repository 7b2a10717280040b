-- What a capsule is called, its name and its keywords, is asked before what it says of itself.
--
-- Neither index keeps new words in a list aside: every search would read all of it, and searches are
-- many and publications few.

CREATE INDEX package_words_by_name ON package_words USING GIN (ts_filter(words, '{a,b}'))
    WITH (fastupdate = off);

ALTER INDEX package_words_by_word SET (fastupdate = off);
SELECT gin_clean_pending_list('package_words_by_word');
