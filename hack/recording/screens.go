package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Files of a recording.
const (
	castFile    = "release.cast"
	screensFile = "release.txt"
)

// writeScreens puts the screens of a recording beside it.
func writeScreens(folder string) error {
	cast, err := os.ReadFile(filepath.Join(folder, castFile))
	if err != nil {
		return fmt.Errorf("read the recording: %w", err)
	}
	printed, err := printedIn(cast)
	if err != nil {
		return err
	}
	all := screensOf(printed)
	if err := os.WriteFile(filepath.Join(folder, screensFile), []byte(textOf(all)), 0o644); err != nil {
		return fmt.Errorf("write the screens: %w", err)
	}
	fmt.Printf("%s has the recording, %s beside it %d screens of it\n", filepath.Join(folder, castFile), screensFile, len(all))
	return nil
}

// printedIn is all that was printed, read from asciinema's format.
func printedIn(cast []byte) (string, error) {
	var text strings.Builder
	lines := bufio.NewScanner(bytes.NewReader(cast))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event [3]any
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue // The first line describes the terminal.
		}
		if printed, ok := event[2].(string); ok && event[1] == "o" {
			text.WriteString(printed)
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("read the recording: %w", err)
	}
	return text.String(), nil
}

// What each screen of `status -w` begins and ends with.
const (
	heading    = name + " "
	clearBelow = "\x1b[J"
)

var (
	escape   = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]|\r`)
	underWay = regexp.MustCompile(`● (\S+(?: \S+)?)(?: .*?(\d+) %)?`)
)

// screensOf are the screens that were drawn, as text: the last one of each stage,
// and of each quarter of a replay.
func screensOf(printed string) []string {
	var all []string
	last := ""
	for drawn := range strings.SplitSeq(printed, clearBelow) {
		text := strings.TrimPrefix(escape.ReplaceAllString(drawn, ""), typed+"\n")
		if !strings.HasPrefix(text, heading) {
			continue
		}
		text = strings.TrimRight(text, "\n")
		if stage := stageOf(text); stage != last || len(all) == 0 {
			all = append(all, text)
			last = stage
			continue
		}
		all[len(all)-1] = text
	}
	return all
}

// stageOf is what a screen says to be under way.
func stageOf(screen string) string {
	found := underWay.FindStringSubmatch(screen)
	if found == nil {
		first, _, _ := strings.Cut(screen, "\n")
		return first
	}
	if found[2] == "" {
		return found[1]
	}
	percent := 0
	_, _ = fmt.Sscan(found[2], &percent)
	return fmt.Sprint(found[1], percent/25)
}

// textOf is how people would see the screens, one after the other.
func textOf(screens []string) string {
	return "$ kubectl nawhas status\n" + strings.Join(screens, "\n\n$ kubectl nawhas status\n") + "\n"
}
