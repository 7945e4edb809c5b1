-- What the projection engine keeps in every version's database.

CREATE TABLE checkpoint (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    position   bigint NOT NULL DEFAULT 0,
    stage      text NOT NULL DEFAULT 'empty' CHECK (stage IN ('empty', 'replaying', 'indexing', 'complete')),
    epoch      bigint NOT NULL DEFAULT 0,
    target     bigint,
    tail       jsonb NOT NULL DEFAULT '[]',
    source     jsonb,
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO checkpoint DEFAULT VALUES;
COMMENT ON TABLE checkpoint IS 'The one row says which events this database holds: all up to position, and no others.';

-- The keys of this table are made at the end of a replay.
CREATE TABLE projected_events (
    id           uuid NOT NULL,
    event_id     uuid NOT NULL,
    projector    text COLLATE "C" NOT NULL,
    projected_at timestamptz NOT NULL
);
COMMENT ON COLUMN projected_events.projected_at IS 'Wall clock; everything else in this database follows from the events.';

CREATE TABLE skipped_events (
    position bigint PRIMARY KEY,
    event_id uuid NOT NULL,
    name     text NOT NULL,
    version  smallint NOT NULL
);
COMMENT ON TABLE skipped_events IS 'Events that were passed over because the release asked for it.';

CREATE TABLE outcomes (
    projector text NOT NULL,
    outcome   text NOT NULL,
    events    bigint NOT NULL,
    PRIMARY KEY (projector, outcome)
);
COMMENT ON TABLE outcomes IS 'How many events could not be applied as recorded, and what became of them.';

---- create above / drop below ----

DROP TABLE outcomes, skipped_events, projected_events, checkpoint;
