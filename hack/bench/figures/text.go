package figures

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

// line is a figure for a terminal.
func (f Figure) line() string {
	text := fmt.Sprintf("%-52s %12s %-10s", f.Name, amount(f.Value), f.Unit)
	if wanted := f.wanted(); wanted != "" {
		text += fmt.Sprintf("  %-24s %s", wanted, f.verdict())
	}
	if f.Note != "" {
		text += "  (" + f.Note + ")"
	}
	return strings.TrimRight(text, " ")
}

// wanted says what the figure must and should reach.
func (f Figure) wanted() string {
	var parts []string
	if f.Must != nil {
		parts = append(parts, "must "+f.sign()+" "+amount(*f.Must))
	}
	if f.Aim != nil {
		parts = append(parts, "aim "+f.sign()+" "+amount(*f.Aim))
	}
	return strings.Join(parts, ", ")
}

func (f Figure) sign() string {
	if f.Better == Higher {
		return "≥"
	}
	return "≤"
}

func (f Figure) verdict() string {
	switch {
	case !f.reaches(f.Must):
		return "MISSED"
	case f.Aim != nil && f.reaches(f.Aim):
		return "ok, aim reached"
	case f.Must == nil:
		return "aim not reached"
	default:
		return "ok"
	}
}

// WriteMarkdown writes the list as a table for documents, below the facts of
// the run.
func (l *List) WriteMarkdown(path string, facts []string) error {
	var b strings.Builder
	for _, fact := range facts {
		b.WriteString("- " + fact + "\n")
	}
	b.WriteString("\n| what | value | must | aim | |\n|---|---:|---:|---:|---|\n")
	for _, f := range l.figures {
		verdict := ""
		if f.wanted() != "" {
			verdict = f.verdict()
		}
		fmt.Fprintf(&b, "| %s | %s %s | %s | %s | %s |\n", f.described(), amount(f.Value), f.Unit, f.limit(f.Must), f.limit(f.Aim), verdict)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write the table of figures: %w", err)
	}
	return nil
}

func (f Figure) described() string {
	if f.Note == "" {
		return f.Name
	}
	return f.Name + " (" + f.Note + ")"
}

func (f Figure) limit(limit *float64) string {
	if limit == nil {
		return ""
	}
	return f.sign() + " " + amount(*limit)
}

// amount writes a number with about three digits that matter.
func amount(v float64) string {
	size := math.Abs(v)
	switch {
	case v == math.Trunc(v) && size < 1000, size >= 100 && size < 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 1000:
		return Grouped(int64(math.Round(v)))
	case size >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// Grouped writes a number with commas between its thousands.
func Grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(digits) - 3; i > first; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
