package main

import (
	"os"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// logVariable tells of a log that is not the one of `nawhas source init`.
const logVariable = "NAWHAS_LOG"

// describedLog is the log as the environment describes it, else the default one.
func describedLog() (*eventlog.Log, error) {
	text := os.Getenv(logVariable)
	if text == "" {
		return eventlog.New(eventlog.DefaultTable()), nil
	}
	table, err := eventlog.ParseTable([]byte(text))
	if err != nil {
		return nil, usage("%s does not describe a log: %w", logVariable, err)
	}
	return eventlog.New(table), nil
}
