package screen

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// grouped writes a number with commas between its thousands.
func grouped(n int64) string { return message.NewPrinter(language.English).Sprintf("%d", n) }

// short writes a large number in three or four characters.
func short(n int64) string {
	switch {
	case n < 10_000:
		return grouped(n)
	case n < 1_000_000:
		return fmt.Sprintf("%.0fk", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1fG", float64(n)/1e9)
}

// span writes a duration as precisely as people want it.
func span(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d", int(d.Hours())/24)
}

func seconds(s float64) string { return span(time.Duration(s * float64(time.Second))) }

// bar draws a share of width characters.
func bar(percent int32, width int) string {
	full := min(width, max(0, int(percent)*width/100))
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}
