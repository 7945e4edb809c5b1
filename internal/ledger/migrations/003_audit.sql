-- What a version's follower found of the events that it applied after the
-- verification.

ALTER TABLE nawhas_ledger.checkpoints ADD COLUMN audit jsonb;

---- create above / drop below ----

ALTER TABLE nawhas_ledger.checkpoints DROP COLUMN audit;
