-- Which log the databases of a release were built from: its table and the column
-- that orders it. Empty for public.events, the log of `nawhas source init`.

ALTER TABLE nawhas_ledger.releases ADD COLUMN log text NOT NULL DEFAULT '';

---- create above / drop below ----

ALTER TABLE nawhas_ledger.releases DROP COLUMN log;
