-- What a way back needs: why a version is held, until when a switch is put off,
-- and what the version runs, should the cluster lose its objects.

ALTER TABLE nawhas_ledger.versions
    ADD COLUMN held        jsonb,
    ADD COLUMN not_before  timestamptz,
    ADD COLUMN plan        jsonb,
    ADD COLUMN plan_digest text NOT NULL DEFAULT '';

---- create above / drop below ----

ALTER TABLE nawhas_ledger.versions
    DROP COLUMN held, DROP COLUMN not_before, DROP COLUMN plan, DROP COLUMN plan_digest;
