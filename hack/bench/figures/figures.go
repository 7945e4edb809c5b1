// Package figures keeps what was measured and judges it: names, values, units
// and what each must and should reach. It measures nothing itself.
package figures

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Better says which way a figure should go.
type Better string

// The two ways. A figure that is only told has none.
const (
	Lower  Better = "lower"
	Higher Better = "higher"
)

// Figure is one measured value and what was wanted of it.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Better is empty for a figure that nothing is wanted of.
	Better Better `json:"better,omitempty"`
	// Must and Aim are in the figure's unit; nil means there is none.
	Must *float64 `json:"must"`
	Aim  *float64 `json:"aim"`
	Pass bool     `json:"pass"`
	// Note says how the value came about where that is not plain.
	Note string `json:"note,omitempty"`
}

// Told is a figure that nothing is wanted of.
func Told(name string, value float64, unit string) Figure {
	return Figure{Name: name, Value: value, Unit: unit}
}

// AtMost is a figure that must not be above a value.
func AtMost(name string, value float64, unit string, must float64) Figure {
	return Figure{Name: name, Value: value, Unit: unit, Better: Lower, Must: &must}
}

// AtLeast is a figure that must not be below a value.
func AtLeast(name string, value float64, unit string, must float64) Figure {
	return Figure{Name: name, Value: value, Unit: unit, Better: Higher, Must: &must}
}

// Aiming adds what the figure should reach beyond what it must. One without a
// direction should be low.
func (f Figure) Aiming(aim float64) Figure {
	if f.Better == "" {
		f.Better = Lower
	}
	f.Aim = &aim
	return f
}

// Noting adds how the value came about.
func (f Figure) Noting(format string, args ...any) Figure {
	f.Note = fmt.Sprintf(format, args...)
	return f
}

// reaches tells whether the figure is at least as good as a limit. No limit is
// always reached; a value that is no number reaches none.
func (f Figure) reaches(limit *float64) bool {
	switch {
	case limit == nil:
		return true
	case f.Better == Higher:
		return f.Value >= *limit
	default:
		return f.Value <= *limit
	}
}

// List is what a run has measured so far.
type List struct {
	// Out hears of each figure as it is added.
	Out io.Writer
	// Unjudged takes away what figures must reach: the run was too small to
	// tell.
	Unjudged bool

	figures []Figure
}

// Add judges a figure and tells it.
func (l *List) Add(f Figure) {
	if l.Unjudged {
		f.Must, f.Aim = nil, nil
	}
	f.Pass = f.reaches(f.Must)
	l.figures = append(l.figures, f)
	_, _ = fmt.Fprintln(l.Out, "  "+f.line())
}

// Missed are the names of the figures that are not what they must be.
func (l *List) Missed() []string {
	var names []string
	for _, f := range l.figures {
		if !f.Pass {
			names = append(names, f.Name)
		}
	}
	return names
}

// WriteJSON writes the list for programs.
func (l *List) WriteJSON(path string) error {
	list := l.figures
	if list == nil {
		list = []Figure{}
	}
	encoded, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the figures: %w", err)
	}
	if err := os.WriteFile(path, append(encoded, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}
