package release

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// lookAtLedger compares what all releases of the source were last seen with to
// what the ledger says now.
func (p *poller) lookAtLedger(ctx context.Context, names []types.NamespacedName) error {
	conn, err := p.connect(ctx)
	if err != nil {
		return err
	}
	started := time.Now()
	survey, err := ledger.Look(ctx, conn, p.events.HeadQuery(), p.events.GrantsQuery())
	if err != nil {
		return err
	}
	p.metrics.polled(p.server.address(), time.Since(started))
	p.noteHead(survey.Head, started)
	before := p.surveyed
	p.surveyed = survey
	past, known := p.settledHead(started)
	versions := map[string][]ledger.Glance{}
	for _, g := range survey.Versions {
		versions[g.Release] = append(versions[g.Release], g)
	}
	catalogs := catalogsOf(before)
	for _, name := range names {
		own := versions[name.String()]
		p.metrics.measure(name, own, survey.Head)
		last, rests := p.resting.get(name)
		why := drifted(own, catalogs, rests)
		if why != "" {
			p.drifts.note(name)
		}
		if !rests {
			continue
		}
		if why == "" {
			why = last.changed(own, past, known, started)
		}
		if why == "" && p.writers != nil && last.othersAppend(*p.writers, before, survey) {
			why = "who can append has changed"
		}
		if why != "" {
			p.log.V(1).Info("waking a release", "release", name.String(), "because", why)
			p.wake(name)
		}
	}
	p.writers = nil
	return nil
}

// changed says what has changed since the last pass that is worth another, or
// nothing.
func (s seen) changed(versions []ledger.Glance, past int64, pastKnown bool, now time.Time) string {
	if fingerprint(versions) != s.versions {
		return "the ledger has changed"
	}
	for _, g := range versions {
		told, ok := s.lag[g.Version]
		if ok && pastKnown && worthALook(told, max(0, past-g.Position), s.maxLag, now.Sub(s.lagTold)) {
			return "the lag of version " + g.Version + " has changed"
		}
	}
	return ""
}

// othersAppend reports whether those who can append are not those of the last pass.
func (s seen) othersAppend(writers eventlog.Writers, surveys ...ledger.Survey) bool {
	var tolerated []string
	if !s.alone {
		tolerated = neighbours(s.own, surveys...)
	}
	return s.rights != rightsOf(writers, s.own, tolerated, s.operators)
}

// neighbours are the roles of other releases, before or after the writers were
// read: a role is in the ledger before it can append.
func neighbours(own []string, surveys ...ledger.Survey) []string {
	var others []string
	for _, survey := range surveys {
		for _, g := range survey.Versions {
			if !slices.Contains(own, g.AppRole) {
				others = append(others, g.AppRole)
			}
		}
	}
	return others
}

func (p *poller) lookAtRights(ctx context.Context) error {
	conn, err := p.connect(ctx)
	if err != nil {
		return err
	}
	writers, err := p.events.Writers(ctx, conn)
	if err != nil {
		return err
	}
	p.writers = &writers
	return nil
}

// lookAtDatabases wakes the releases of which a database or a role has changed.
func (p *poller) lookAtDatabases(ctx context.Context, names []types.NamespacedName) error {
	conn, err := p.connect(ctx)
	if err != nil {
		return err
	}
	wanted := map[types.NamespacedName][]string{}
	var all []string
	for _, name := range names {
		if last, rests := p.resting.get(name); rests {
			wanted[name] = last.databases
			all = append(all, last.databases...)
		}
	}
	before := p.marks
	if p.marks, err = versiondb.Marks(ctx, conn, all); err != nil {
		return err
	}
	for name, databases := range wanted {
		for _, database := range databases {
			mark, exists := p.marks[database]
			known, seen := before[database]
			if exists && (!seen || known == mark) {
				continue
			}
			p.log.V(1).Info("waking a release", "release", name.String(), "because", "database "+database+" or its roles have changed")
			p.drifts.note(name)
			p.wake(name)
			break
		}
	}
	return nil
}
