-- Reciters, their albums, and the revisions of both.

CREATE TABLE reciters (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,
    slug        text NOT NULL,
    description text,
    avatar      text,
    revision    integer NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    -- Deferred, because two reciters may exchange their names in one transaction.
    CONSTRAINT reciters_slug_key UNIQUE (slug) DEFERRABLE INITIALLY DEFERRED
-- Room for a row's next states beside it, so that most changes leave the indexes alone.
) WITH (fillfactor = 60);

CREATE TABLE albums (
    id         uuid PRIMARY KEY,
    reciter_id uuid NOT NULL,
    title      text NOT NULL,
    year       text NOT NULL,
    artwork    text,
    revision   integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
) WITH (fillfactor = 60);
CREATE INDEX albums_reciter_id_idx ON albums (reciter_id);

-- An id lives once: this is how a late creation of a deleted entity is known.
CREATE TABLE tombstones (
    id         uuid PRIMARY KEY,
    deleted_at timestamptz NOT NULL
);

-- The keys of this table are made at the end of a replay.
CREATE TABLE revisions (
    id         uuid NOT NULL,
    entity     text COLLATE "C" NOT NULL,
    version    integer NOT NULL,
    content    json NOT NULL,
    created_at timestamptz NOT NULL
);

---- create above / drop below ----

DROP TABLE revisions, tombstones, albums, reciters;
