-- Since 3.2.0: every album has an address on its reciter's shelf, and a shelf
-- knows how many albums it holds.

CREATE TABLE shelves (
    id     uuid PRIMARY KEY,
    albums integer NOT NULL
) WITH (fillfactor = 60);
COMMENT ON COLUMN shelves.id IS 'The reciter.';

CREATE TABLE shelved_albums (
    id         uuid PRIMARY KEY,
    reciter_id uuid NOT NULL,
    slug       text NOT NULL,
    -- Deferred, because two albums may exchange their titles in one transaction.
    CONSTRAINT shelved_albums_reciter_id_slug_key UNIQUE (reciter_id, slug) DEFERRABLE INITIALLY DEFERRED
);
COMMENT ON COLUMN shelved_albums.id IS 'The album.';

---- create above / drop below ----

DROP TABLE shelved_albums, shelves;
