-- The log of spatie/laravel-event-sourcing after all migrations of the nawhas
-- application.
CREATE TABLE stored_events (
    id                bigserial PRIMARY KEY,
    aggregate_uuid    uuid,
    event_class       varchar(255) NOT NULL,
    event_properties  json NOT NULL,
    meta_data         json NOT NULL,
    created_at        timestamp(0) without time zone NOT NULL,
    aggregate_version bigint,
    event_version     integer NOT NULL DEFAULT 1
);
CREATE INDEX stored_events_event_class_index ON stored_events (event_class);
CREATE INDEX stored_events_aggregate_uuid_index ON stored_events (aggregate_uuid);
ALTER TABLE stored_events ADD CONSTRAINT stored_events_aggregate_uuid_aggregate_version_unique UNIQUE (aggregate_uuid, aggregate_version);
