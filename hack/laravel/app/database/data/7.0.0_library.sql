create table reciters (id uuid primary key, name varchar(255) not null, slug varchar(255) not null unique, description text, avatar varchar(255),
    created_at timestamp(0), updated_at timestamp(0));
create table albums (id uuid primary key, reciter_id uuid not null, title varchar(255) not null, year varchar(255) not null, artwork varchar(255),
    created_at timestamp(0), updated_at timestamp(0), unique (reciter_id, year));
create table tracks (id uuid primary key, reciter_id uuid not null, album_id uuid not null, title varchar(255) not null, slug varchar(255) not null, audio varchar(255),
    lyrics json, created_at timestamp(0), updated_at timestamp(0), video varchar(255), unique (album_id, slug));
create table visits (id bigserial primary key, visitable_id uuid not null, visitable_type varchar(255) not null, visited_at timestamp(0) not null);
create table track_statistics (track_id uuid primary key, visits_all_time integer not null);
create table revisions (id uuid primary key, entity_type varchar(255) not null, entity_id uuid not null, old_values json, new_values json, change_type varchar(255) not null,
    user_id uuid, version bigint not null, event_id bigint not null, created_at timestamp(0) not null, unique (entity_type, entity_id, version));
create index revisions_entity on revisions (entity_type, entity_id);
create index revisions_event on revisions (event_id);
