package dashboard

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/nawhas/nawhas-operator/internal/screen"
)

// State is what the page shows. Its JSON is what the page's script reads.
type State struct {
	// Cluster is the name that the reader knows the cluster by, Namespace the one
	// that is shown; empty are all.
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	// Problem says why there is nothing new for now. Releases is then what was
	// known last.
	Problem *Problem `json:"problem,omitempty"`
	// PodsHidden tells that the reader may not see Deployments.
	PodsHidden bool             `json:"podsHidden,omitempty"`
	Releases   []screen.Summary `json:"releases"`
}

// Problem is what is wrong and what to do about it.
type Problem struct {
	What   string `json:"what"`
	Advice string `json:"advice,omitempty"`
}

// Feed keeps the state and tells those who listen when it changes. Its methods
// may be called at the same time. A listener that is slow misses states, never
// the latest one, and delays nobody.
type Feed struct {
	now func() time.Time

	mu        sync.Mutex
	state     State
	lags      lagHistory
	listeners map[chan struct{}]struct{}
}

// NewFeed makes a feed that knows no release yet.
func NewFeed(cluster, namespace string, now func() time.Time) *Feed {
	return &Feed{now: now, state: State{Cluster: cluster, Namespace: namespace, Releases: []screen.Summary{}}, listeners: map[chan struct{}]struct{}{}}
}

// Show takes the releases as they are now.
func (f *Feed) Show(releases []screen.Summary, podsHidden bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lags.record(releases, f.now())
	next := f.state
	next.Problem, next.PodsHidden, next.Releases = nil, podsHidden, releases
	f.replace(next)
}

// Interrupt tells why nothing new is known. What was known stays.
func (f *Feed) Interrupt(problem Problem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.state
	next.Problem = &problem
	f.replace(next)
}

func (f *Feed) replace(next State) {
	if reflect.DeepEqual(f.state, next) {
		return
	}
	f.state = next
	for listener := range f.listeners {
		select {
		case listener <- struct{}{}:
		default: // It has been told, and has not looked yet.
		}
	}
}

// listen returns a channel that is told of changes, until stop is called.
func (f *Feed) listen() (changed <-chan struct{}, stop func()) {
	listener := make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listeners[listener] = struct{}{}
	return listener, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, listener)
	}
}

// message is one of those that a page gets. The first one on a connection has
// all samples of the lag, later ones only what was added.
type message struct {
	State
	All  bool     `json:"all"`
	Lags []Sample `json:"lags"`
}

// nothing is what a page has seen that has just been opened.
const nothing = -1

// since is the state with the samples that follow those up to seen, and what is
// seen then.
func (f *Feed) since(seen int64) ([]byte, int64, error) {
	f.mu.Lock()
	told := message{State: f.state, All: seen == nothing, Lags: f.lags.after(seen)}
	next := f.lags.last()
	f.mu.Unlock()
	encoded, err := json.Marshal(told)
	if err != nil {
		return nil, seen, fmt.Errorf("encode the state: %w", err)
	}
	return encoded, next, nil
}
