-- What a revision holds of an entity, for the rivals that write it in SQL.

CREATE FUNCTION written(at timestamptz) RETURNS text STABLE PARALLEL SAFE LANGUAGE sql
RETURN rtrim(rtrim(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z';

CREATE FUNCTION slug(name text) RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN normalize(btrim(regexp_replace(lower(regexp_replace(normalize(name, NFKD), '[\u0300-\u036f\u064b-\u065f\u0670\u06d6-\u06dc]', '', 'g')),
    '[^[:alnum:]]+', '-', 'g'), '-'), NFC);
