package eventlog

import "fmt"

// GrantsQuery is a query of what each role is granted on the log, its columns,
// its sequence, its schema and its database: the role's oid, 0 for what everybody
// is granted, and a text, which changes when any of that does. Its cost grows with
// the grants there are.
func (l *Log) GrantsQuery() string {
	return fmt.Sprintf(`SELECT grantee AS role, string_agg(granted, ',' ORDER BY granted) AS granted FROM (
			SELECT (a).grantee, 'log ' || (a).privilege_type AS granted FROM (SELECT aclexplode(relacl) AS a FROM pg_class WHERE oid = %[1]s) t
			UNION ALL
			SELECT (a).grantee, attname || ' ' || (a).privilege_type FROM (SELECT attname, aclexplode(attacl) AS a FROM pg_attribute WHERE attrelid = %[1]s AND NOT attisdropped) t
			UNION ALL
			SELECT (a).grantee, 'sequence ' || (a).privilege_type FROM (SELECT aclexplode(relacl) AS a FROM pg_class WHERE oid = (%[2]s)::regclass) t
			UNION ALL
			SELECT (a).grantee, 'schema ' || (a).privilege_type FROM (SELECT aclexplode(nspacl) AS a FROM pg_namespace WHERE nspname = %[3]s) t
			UNION ALL
			SELECT (a).grantee, 'database ' || (a).privilege_type FROM (SELECT aclexplode(datacl) AS a FROM pg_database WHERE datname = current_database()) t
		) g GROUP BY grantee`, l.sql.regclass, l.sql.sequence, literal(l.table.Schema))
}
