-- The ledger: what the operator did for each release, and how far each
-- version's database is. Owned by the operator's account of the source.

CREATE TABLE nawhas_ledger.installation (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    id         uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO nawhas_ledger.installation DEFAULT VALUES;

CREATE TABLE nawhas_ledger.releases (
    release    text PRIMARY KEY,
    epoch      bigint NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE nawhas_ledger.versions (
    release     text NOT NULL REFERENCES nawhas_ledger.releases,
    version     text NOT NULL,
    build       uuid NOT NULL,
    database    text NOT NULL,
    owner_role  text NOT NULL,
    app_role    text NOT NULL,
    role        text NOT NULL DEFAULT 'Candidate' CHECK (role IN ('Candidate', 'Live', 'Warm', 'Retiring')),
    image       text NOT NULL DEFAULT '',
    drains      integer NOT NULL DEFAULT 0,
    mark        bigint,
    marked_at   timestamptz,
    live_since  timestamptz,
    warm_since  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (release, version)
);
CREATE UNIQUE INDEX one_live ON nawhas_ledger.versions (release) WHERE role = 'Live';
CREATE UNIQUE INDEX one_database ON nawhas_ledger.versions (database);

CREATE TABLE nawhas_ledger.stages (
    release     text NOT NULL,
    version     text NOT NULL,
    name        text NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    evidence    jsonb,
    PRIMARY KEY (release, version, name),
    FOREIGN KEY (release, version) REFERENCES nawhas_ledger.versions ON DELETE CASCADE
);

CREATE TABLE nawhas_ledger.journal (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    epoch      bigint NOT NULL,
    release    text NOT NULL,
    version    text NOT NULL,
    build      uuid NOT NULL,
    transition text NOT NULL,
    evidence   jsonb
);
CREATE INDEX journal_release ON nawhas_ledger.journal (release, seq);

-- What the versions' own processes report. Row level security lets each
-- owner-side role see and change its own row only.
CREATE TABLE nawhas_ledger.checkpoints (
    role        name PRIMARY KEY,
    release     text NOT NULL,
    version     text NOT NULL,
    build       uuid NOT NULL,
    stage       text NOT NULL DEFAULT '',
    position    bigint NOT NULL DEFAULT 0,
    target      bigint NOT NULL DEFAULT 0,
    rate        double precision NOT NULL DEFAULT 0,
    problem     jsonb,
    evidence    jsonb,
    reported_at timestamptz,
    FOREIGN KEY (release, version) REFERENCES nawhas_ledger.versions ON DELETE CASCADE
);
ALTER TABLE nawhas_ledger.checkpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_row ON nawhas_ledger.checkpoints USING (role = current_user);

---- create above / drop below ----

DROP TABLE nawhas_ledger.checkpoints, nawhas_ledger.journal, nawhas_ledger.stages, nawhas_ledger.versions,
    nawhas_ledger.releases, nawhas_ledger.installation;
