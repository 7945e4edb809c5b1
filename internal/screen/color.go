package screen

import "strings"

// Paint colours marks, bars and branches for a terminal. It adds no width.
func Paint(lines []string) []string {
	const green, yellow, red, faint, plain = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m", "\x1b[0m"
	painter := strings.NewReplacer(
		"✔", green+"✔"+plain, "●", yellow+"●"+plain, "✘", red+"✘"+plain,
		"█", green+"█"+plain, "░", faint+"░"+plain,
		"├─", faint+"├─"+plain, "└─", faint+"└─"+plain, "│", faint+"│"+plain,
	)
	painted := make([]string, len(lines))
	for i, line := range lines {
		painted[i] = painter.Replace(line)
	}
	return painted
}
