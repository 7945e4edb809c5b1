package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/nawhas/nawhas-operator/internal/verify"
)

func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

func printEvidence(out io.Writer, format string, evidence verify.Evidence) error {
	if format == "json" {
		return printJSON(out, evidence)
	}
	since := ""
	if evidence.After > 0 {
		since = " after position " + grouped(evidence.After)
	}
	_, _ = fmt.Fprintf(out, "%s at position %s: %s events%s, %s by nawhas %s in %.1f s\n", evidence.Database, grouped(evidence.Position),
		grouped(evidence.Events), since, verdict(evidence), evidence.Version, evidence.Seconds)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, check := range evidence.Checks {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s %s\t%.2f s\t%s\n", mark(check), check.Name, grouped(check.Figure), check.Unit, check.Seconds, check.Detail)
		for _, sample := range check.Samples {
			_, _ = fmt.Fprintf(table, "\t\t\t\t- %s\n", sample)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return printComparison(out, evidence.Comparison)
}

func verdict(evidence verify.Evidence) string {
	if evidence.Passed {
		return "found right"
	}
	return "found WRONG"
}

func mark(check verify.Check) string {
	switch {
	case check.Passed:
		return "ok"
	case check.Advisory:
		return "differs"
	}
	return "FAILED"
}

func printComparison(out io.Writer, c *verify.Comparison) error {
	if c == nil {
		return nil
	}
	_, _ = fmt.Fprintf(out, "\ncompared with %s of version %s\n", c.Database, c.Version)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(table, "table\trows\tmissing\textra\tchanged\texpected\t\n")
	for _, t := range c.Tables {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t\n", t.Table, grouped(t.Rows), grouped(t.Missing), grouped(t.Extra), grouped(t.Changed), grouped(t.Expected))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, name := range c.OnlyHere {
		_, _ = fmt.Fprintf(out, "only here: %s\n", name)
	}
	for _, name := range c.OnlyLive {
		_, _ = fmt.Fprintf(out, "only in %s: %s\n", c.Version, name)
	}
	return nil
}
