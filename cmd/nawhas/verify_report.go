package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/verify"
)

// printReport prints the evidence in the ledger or in a file, or what two
// files differ in.
func (f *verifyFlags) printReport(cmd *cobra.Command, files []string) error {
	if len(files) == 0 {
		return f.printRecorded(cmd)
	}
	var reports []verify.Evidence
	for _, file := range files {
		evidence, err := readReport(file)
		if err != nil {
			return err
		}
		reports = append(reports, evidence)
	}
	if len(reports) == 1 {
		return printEvidence(cmd.OutOrStdout(), f.output, reports[0])
	}
	differences := verify.Differences(reports[0], reports[1])
	if f.output == "json" {
		return printJSON(cmd.OutOrStdout(), differences)
	}
	if len(differences) == 0 {
		_, _ = fmt.Fprintln(cmd.OutOrStdout(), "the two reports say the same")
	}
	for _, d := range differences {
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s -> %s\n", d.What, d.Before, d.After)
	}
	return nil
}

// printRecorded prints the evidence that the ledger keeps of this version's
// database and, in the table, the audit of what came after it.
func (f *verifyFlags) printRecorded(cmd *cobra.Command) error {
	reporter, err := newLedgerReporter(cmd.Context(), f.source)
	if err != nil {
		return err
	}
	defer reporter.close()
	encoded, audit, err := reporter.ledger.Proofs(cmd.Context())
	if err != nil {
		return err
	}
	if encoded == nil {
		return fmt.Errorf("the ledger has no evidence of this role's database; run `nawhas verify` first")
	}
	for i, one := range []json.RawMessage{encoded, audit} {
		if one == nil || i > 0 && f.output == "json" {
			continue
		}
		evidence, err := decodeReport("the ledger", one)
		if err != nil {
			return err
		}
		if err := printEvidence(cmd.OutOrStdout(), f.output, evidence); err != nil {
			return err
		}
	}
	return nil
}

func readReport(file string) (verify.Evidence, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return verify.Evidence{}, usage("--report: %w", err)
	}
	return decodeReport(file, content)
}

func decodeReport(where string, encoded []byte) (verify.Evidence, error) {
	var evidence verify.Evidence
	if err := json.Unmarshal(encoded, &evidence); err != nil || evidence.Database == "" {
		return verify.Evidence{}, usage("%s holds no evidence of `nawhas verify -o json`", where)
	}
	return evidence, nil
}
