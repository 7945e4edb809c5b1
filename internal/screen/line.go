package screen

import (
	"fmt"
	"slices"
	"strings"
)

// Line says in one line what a release is doing, for logs and pipes. Two equal
// lines mean that nothing worth telling has changed.
func Line(s Summary) string {
	live := "nothing"
	if s.Live != "" {
		live = s.Live
	}
	return fmt.Sprintf("%s/%s live %s wanted %s: %s", s.Namespace, s.Name, live, s.Wanted, doing(s))
}

func doing(s Summary) string {
	if !s.Seen {
		return "the operator has not seen this spec yet"
	}
	i := slices.IndexFunc(s.Versions, func(v Version) bool { return v.Version == s.Wanted })
	stage, progress := currentStage(s.Versions[i]), s.Versions[i].Progress
	switch {
	case stage == nil:
		return or(s.Stage, "done")
	case stage.State == Failed:
		return "✘ " + labels[stage.Name][1] + ": " + stage.Reason + ": " + stage.Message
	case progress != nil:
		return labels[stage.Name][1] + " " + joined([]string{fmt.Sprintf("%d %%", progress.Percent), counts(*progress), rate(*progress), left(*progress)}, "   ")
	case s.Ready:
		return "live, " + labels[stage.Name][1] + ": " + stage.Message
	}
	return strings.TrimRight(labels[stage.Name][1]+": "+stage.Message, ": ")
}

// currentStage is the first stage that is not passed, nil when all are.
func currentStage(v Version) *Stage {
	for i := range v.Stages {
		if v.Stages[i].State != Done {
			return &v.Stages[i]
		}
	}
	return nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
