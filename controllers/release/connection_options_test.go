package release

import (
	"strings"
	"testing"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

func TestOptionsThatBreakASessionAreRefusedByName(t *testing.T) {
	for option, named := range map[string]string{
		"options=-c%20role%3Dhunter2":                      "role",
		"options=-c+geqo%3Doff+-csearch_path%3Dhunter2":    "search_path",
		"options=--search-path%3Dhunter2":                  "search_path",
		"options=-c%20Default_Transaction_Read_Only%3Don":  "default_transaction_read_only",
		"search_path=hunter2":                              "search_path",
		"role=hunter2":                                     "role",
		"replication=database":                             "replication",
		"target_session_attrs=read-only":                   "target_session_attrs=read-write",
		"target_session_attrs=prefer-standby":              "target_session_attrs=read-write",
		"default_query_exec_mode=simple_protocol":          "default_query_exec_mode",
		"pool_max_conns=4":                                 "pool_max_conns",
		"sslmode=disable&pool_max_conn_lifetime=1h":        "pool_max_conn_lifetime",
		"password=hunter2":                                 "password",
		"user=somebody":                                    "user",
		"dbname=other":                                     "dbname",
		"options=-c%20timezone%3DUTC&options=-crole%3Da_b": "role",
	} {
		_, err := parseConnection("postgres://admin:hunter2@db/source?"+option, nil)
		if err == nil || !strings.Contains(err.Error(), named) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", option, err)
		}
	}
}

func TestOptionsThatHarmNobodyReachPods(t *testing.T) {
	for _, option := range []string{
		"sslmode=verify-full", "sslmode=require&sslsni=0", "sslnegotiation=direct&sslmode=require", "channel_binding=prefer", "connect_timeout=3", "application_name=role",
		"target_session_attrs=read-write", "target_session_attrs=primary", "options=endpoint%3Dsome-role", "options=-c%20timezone%3DUTC", "statement_timeout=60s",
	} {
		c, err := parseConnection("postgres://admin:secret@db/source?"+option, nil)
		if err != nil {
			t.Errorf("%s: %v", option, err)
			continue
		}
		for pair := range strings.SplitSeq(option, "&") {
			if url := c.podURL("v_app", "pw", "v", ""); !strings.Contains(url, pair) {
				t.Errorf("%s: pods get %s", option, url)
			}
		}
	}
}

// Nothing is made, and what is live goes on, with a connection that would break it.
func TestARefusedOptionChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.secret("nawhas-databases", postgres.URLAs(w.databases, "secret", "postgres")+"&options=-c%20search_path%3Dother")
	w.newRelease()

	release := w.until("refused", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionDatabaseReady).Reason == v1alpha1.ReasonConnectionInvalid
	})

	if message := conditionOf(release, v1alpha1.ConditionDatabaseReady).Message; !strings.Contains(message, `Secret "nawhas-databases" (databases.connection) sets search_path`) {
		t.Errorf("the release says %s", message)
	}
	var made bool
	w.must(w.admin(w.sourceDatabase).QueryRow(t.Context(), "SELECT to_regnamespace('nawhas_ledger') IS NOT NULL OR EXISTS (SELECT FROM pg_roles WHERE rolname LIKE $1)", w.prefix+"%").Scan(&made))
	if made {
		t.Error("something was made")
	}
	w.secret("nawhas-databases", postgres.URLAs(w.databases, "secret", "postgres"))
	w.until("live", isLive("3.1.2"))
}
