// What each event does to the tables: one prepared statement, which notes the
// revision and the projected events too. $1 is the entity, $2 when the event
// was recorded, $3 the event.

const projected = (...projectors) => `projected AS (
  INSERT INTO projected_events (id, event_id, projector, projected_at)
  SELECT gen_random_uuid(), $3::uuid, p, clock_timestamp() FROM unnest('{${projectors}}'::text[]) AS p)`;

const freeSlug = `CASE WHEN EXISTS (SELECT FROM reciters o WHERE o.slug = slug($4::text) AND o.id <> $1::uuid)
  THEN slug($4::text) || '--' || left(replace($1::text, '-', ''), 8) ELSE slug($4::text) END`;

const members = {
  reciter: `'id', id, 'name', name, 'slug', slug, 'description', description, 'avatar', avatar,
    'created_at', written(created_at), 'updated_at', written(updated_at)`,
  album: `'id', id, 'reciter_id', reciter_id, 'title', title, 'year', year, 'artwork', artwork,
    'created_at', written(created_at), 'updated_at', written(updated_at)`,
};

const revision = (kind, from) => `INSERT INTO revisions (id, entity, version, content, created_at)
  SELECT gen_random_uuid(), '${kind}:' || id, revision, json_build_object(${members[kind]}), $2 FROM ${from}`;

const lastRevision = (kind, from) => `INSERT INTO revisions (id, entity, version, content, created_at)
  SELECT gen_random_uuid(), '${kind}:' || id, revision + 1, json_build_object('deleted', true, ${members[kind]}), $2 FROM ${from}`;

const bury = (from) => `INSERT INTO tombstones (id, deleted_at) SELECT id, $2::timestamptz FROM ${from}`;

const changeReciter = `WITH ${projected('reciters', 'revisions')}, changed AS (
  UPDATE reciters SET name = coalesce($4::text, name), slug = CASE WHEN $4::text <> name THEN ${freeSlug} ELSE slug END,
    description = CASE WHEN $5::jsonb ? 'description' THEN $5::jsonb->>'description' ELSE description END,
    avatar = CASE WHEN $5::jsonb ? 'avatar' THEN $5::jsonb->>'avatar' ELSE avatar END,
    revision = revision + 1, updated_at = $2::timestamptz
  WHERE id = $1::uuid RETURNING *)
${revision('reciter', 'changed')}`;

const changeAlbum = `WITH ${projected('albums', 'revisions')}, changed AS (
  UPDATE albums SET title = coalesce($4::jsonb->>'title', title), year = coalesce($4::jsonb->>'year', year),
    artwork = CASE WHEN $4::jsonb ? 'artwork' THEN $4::jsonb->>'artwork' ELSE artwork END,
    revision = revision + 1, updated_at = $2::timestamptz
  WHERE id = $1::uuid RETURNING *)
${revision('album', 'changed')}`;

export const statements = {
  ReciterCreated: {
    text: `WITH ${projected('reciters', 'revisions')}, created AS (
      INSERT INTO reciters (id, name, slug, description, avatar, revision, created_at, updated_at)
      SELECT $1::uuid, $4::text, ${freeSlug}, $5::text, $6::text, 1, $2::timestamptz, $2::timestamptz
      WHERE NOT EXISTS (SELECT FROM tombstones WHERE id = $1::uuid)
      ON CONFLICT (id) DO NOTHING RETURNING *)
    ${revision('reciter', 'created')}`,
    values: ({ attributes: a }) => [a.name, a.description, a.avatar],
  },
  ReciterModified: { text: changeReciter, values: ({ attributes: a }) => [a.name, a] },
  ReciterAvatarUploaded: { text: changeReciter, values: ({ path }) => [null, { avatar: path }] },
  ReciterDeleted: {
    text: `WITH ${projected('reciters', 'albums', 'revisions')},
      gone AS (DELETE FROM reciters WHERE id = $1::uuid RETURNING *),
      albums_gone AS (DELETE FROM albums WHERE reciter_id IN (SELECT id FROM gone) RETURNING *),
      buried AS (${bury('(SELECT id FROM gone UNION ALL SELECT id FROM albums_gone) AS dead')}),
      recorded AS (${lastRevision('album', 'albums_gone')})
    ${lastRevision('reciter', 'gone')}`,
    values: () => [],
  },
  AlbumCreated: {
    text: `WITH ${projected('albums', 'revisions')}, created AS (
      INSERT INTO albums (id, reciter_id, title, year, artwork, revision, created_at, updated_at)
      SELECT $1::uuid, r.id, $5::text, $6::text, $7::text, 1, $2::timestamptz, $2::timestamptz
      FROM reciters r WHERE r.id = $4::uuid AND NOT EXISTS (SELECT FROM tombstones WHERE id = $1::uuid)
      ON CONFLICT (id) DO NOTHING RETURNING *)
    ${revision('album', 'created')}`,
    values: ({ reciterId, attributes: a }) => [reciterId, a.title, a.year, a.artwork],
  },
  AlbumModified: { text: changeAlbum, values: ({ attributes }) => [attributes] },
  AlbumArtworkUploaded: { text: changeAlbum, values: ({ path }) => [{ artwork: path }] },
  AlbumDeleted: {
    text: `WITH ${projected('albums', 'revisions')}, gone AS (DELETE FROM albums WHERE id = $1::uuid RETURNING *),
      buried AS (${bury('gone')})
    ${lastRevision('album', 'gone')}`,
    values: () => [],
  },
};

// toStatement is what node-postgres prepares once and then only binds.
export const toStatement = ({ type, data, metadata }) => ({
  name: type,
  text: statements[type].text,
  values: [data.id, metadata.recordedAt, metadata.messageId, ...statements[type].values(data)],
});
