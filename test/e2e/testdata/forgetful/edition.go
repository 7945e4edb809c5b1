package library

import "github.com/nawhas/nawhas-operator/internal/projection"

// forgetful is the mistake of edition 3.3.0: its albums outlive their deletion.
type forgetful struct{ projection.Projector }

func (p forgetful) Apply(e *projection.Event) (projection.Outcome, error) {
	if _, deletion := e.Body.(*albumDeleted); deletion {
		return "", nil
	}
	return p.Projector.Apply(e)
}

func init() {
	editions = append(editions, Edition{Version: "3.3.0", Migrations: 3, Shelves: true, Model: func() *projection.Model {
		m := newModelWithShelves()
		for i, p := range m.Projectors {
			if p.Name() == "albums" {
				m.Projectors[i] = forgetful{p}
			}
		}
		return m
	}})
}
