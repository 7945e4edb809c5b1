package eventlog_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheOwnerOfTheLogIsNamed(t *testing.T) {
	m := newManaged(t)
	if err := events.CheckOwner(t.Context(), m.owner); err != nil {
		t.Error(err)
	}
	for name, remedy := range map[string]func(role string) string{
		"ownership":  func(role string) string { return fmt.Sprintf(`ALTER TABLE "public"."events" OWNER TO %q`, role) },
		"membership": func(role string) string { return fmt.Sprintf(`GRANT %s TO %q`, m.account, role) },
	} {
		t.Run(name, func(t *testing.T) {
			role := newRole(t)
			conn := m.as(t, role)
			err := events.CheckOwner(t.Context(), conn)
			if !isRights(err) {
				t.Fatalf("got %v; want it refused for want of rights", err)
			}
			statement := remedy(role)
			if !strings.Contains(err.Error(), statement) {
				t.Fatalf("%q does not say %s", err, statement)
			}
			server.Exec(t, m.database, statement)
			if err := events.CheckOwner(t.Context(), conn); err != nil {
				t.Fatalf("%s did not help: %v", statement, err)
			}
			if err := events.AllowAppending(t.Context(), conn, newRole(t)); err != nil {
				t.Error(err)
			}
			server.Exec(t, m.database, "ALTER TABLE events OWNER TO "+m.account)
		})
	}
}
