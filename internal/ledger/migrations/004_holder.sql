-- For which object of a cluster the present epoch was taken: operators of one
-- cluster know each other by it.

ALTER TABLE nawhas_ledger.releases ADD COLUMN holder text NOT NULL DEFAULT '';

---- create above / drop below ----

ALTER TABLE nawhas_ledger.releases DROP COLUMN holder;
