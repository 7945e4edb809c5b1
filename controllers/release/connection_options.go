package release

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// An option of a connection string reaches the operator's sessions and, with the
// address, those of every version's pods. Most are nobody's business. These would
// break one of both later, in a way that does not name them.

// belongsInto are options that say otherwise what the URL says: pods get another
// account and database in there, and a password here would reach them.
var belongsInto = []string{"host", "hostaddr", "port", "user", "password", "passfile", "dbname", "database", "service", "servicefile"}

const (
	actsAs   = "has every session act as one role, while rights and fences go by the version's own"
	noWrite  = "refuses writes"
	ofDriver = "is a driver's, and Postgres does not know it. The operator's connections are bounded by its flag --concurrency-per-server, those of a version's roles by spec.databases.connectionLimit"
	ofPooler = "is a driver's, for poolers that share sessions among transactions. Through those no version can be followed: connect to Postgres itself"
)

// harmful are settings of a session, and what is wrong with them.
var harmful = map[string]string{
	"role": actsAs, "session_authorization": actsAs,
	"search_path":                   "leads past a version's tables. The schema of the log is said by spec.source.log.schema",
	"default_transaction_read_only": noWrite, "transaction_read_only": noWrite,
	"replication":             "makes a session for replication, which takes no ordinary statement",
	"default_query_exec_mode": ofPooler, "statement_cache_capacity": ofPooler, "description_cache_capacity": ofPooler,
}

// writable are the servers that may be asked for: those that take writes.
var writable = []string{"any", "read-write", "primary"}

// checkOptions refuses what cannot work. It repeats names of options, and no value.
func checkOptions(query url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		for _, value := range query[name] {
			if err := checkOption(strings.ToLower(name), value); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkOption(name, value string) error {
	why, isHarmful := harmful[name]
	switch {
	case slices.Contains(belongsInto, name):
		return fmt.Errorf("has the option %s, and pods connect as others to other databases; remove it, and write it into postgres://user:password@host:port/database", name)
	case name == "target_session_attrs" && !slices.Contains(writable, value):
		return errors.New("asks with the option target_session_attrs for a server that may refuse writes; write target_session_attrs=read-write, or remove it")
	case strings.HasPrefix(name, "pool_"):
		return fmt.Errorf("has the option %s, which %s; remove it", name, ofDriver)
	case isHarmful:
		return fmt.Errorf("has the option %s, which %s; remove it", name, why)
	case name != "options":
		return nil
	}
	for _, setting := range settingsOf(value) {
		if why, isHarmful := harmful[setting]; isHarmful {
			return fmt.Errorf("sets %s with the option options, which %s; remove it from there", setting, why)
		}
	}
	return nil
}

// settingsOf are the names of the settings in options for a server's command
// line: -c name=value, -cname=value or --name=value, where a dash in a name is an
// underscore.
func settingsOf(options string) []string {
	var names []string
	words := strings.Fields(options)
	for i, word := range words {
		assigned := ""
		switch {
		case word == "-c" && i+1 < len(words):
			assigned = words[i+1]
		case strings.HasPrefix(word, "--"), strings.HasPrefix(word, "-c"):
			assigned = word[2:]
		}
		if name, _, assigns := strings.Cut(assigned, "="); assigns {
			names = append(names, strings.ToLower(strings.ReplaceAll(name, "-", "_")))
		}
	}
	return names
}
