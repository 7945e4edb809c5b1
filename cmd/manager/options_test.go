package main

import (
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
)

// An installation that says nothing keeps its lease.
func TestTheLease(t *testing.T) {
	for id, want := range map[string]string{"": "nawhas-operator.releases.nawhas.com", "--leader-elect-id=prod": "prod"} {
		o, flags := defaults(), pflag.NewFlagSet("manager", pflag.ContinueOnError)
		o.bind(flags)
		arguments := []string{"--leader-elect"}
		if id != "" {
			arguments = append(arguments, id)
		}
		if err := flags.Parse(arguments); err != nil {
			t.Fatal(err)
		}
		if got := managerOptions(runtime.NewScheme(), o).LeaderElectionID; got != want {
			t.Errorf("%s: the lease is %s", id, got)
		}
		o.lease = ""
		if o.validate() == nil {
			t.Error("a lease without a name is taken")
		}
	}
}
