-- The rounds in which a database is built whose replay cannot be told where to
-- stop: which part of the log each applied, and what the tables were before it.

CREATE TABLE nawhas_ledger.rounds (
    release        text NOT NULL,
    version        text NOT NULL,
    number         integer NOT NULL,
    from_position  bigint NOT NULL,
    until_position bigint NOT NULL CHECK (until_position > from_position),
    tables         jsonb NOT NULL DEFAULT '{}',
    job            text NOT NULL DEFAULT '',
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at    timestamptz,
    events         bigint,
    PRIMARY KEY (release, version, number),
    FOREIGN KEY (release, version) REFERENCES nawhas_ledger.versions ON DELETE CASCADE
);
CREATE UNIQUE INDEX one_round ON nawhas_ledger.rounds (release, version) WHERE finished_at IS NULL;

---- create above / drop below ----

DROP TABLE nawhas_ledger.rounds;
