package testbed

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Facts describe the machine and the run, a line each.
func Facts(postgres, nawhas string) []string {
	return []string{
		"date: " + time.Now().UTC().Format("2006-01-02 15:04 MST"),
		"program: " + nawhas,
		fmt.Sprintf("machine: %s, %d processors, %s of memory, %s/%s", processor(), runtime.NumCPU(), memory(), runtime.GOOS, runtime.GOARCH),
		"load average at the start: " + loadAverage(),
		"Go: " + runtime.Version(),
		"Postgres: " + postgres + ", on the loopback address, with " + Settings(),
	}
}

func processor() string { return field("/proc/cpuinfo", "model name", "unknown processor") }

func memory() string {
	total := field("/proc/meminfo", "MemTotal", "unknown size")
	kilobytes, err := strconv.ParseInt(strings.TrimSuffix(total, " kB"), 10, 64)
	if err != nil {
		return total
	}
	return fmt.Sprintf("%d GiB", kilobytes>>20)
}

// field is the value of the first line of a file that begins with a name.
func field(path, name, otherwise string) string {
	file, err := os.Open(path)
	if err != nil {
		return otherwise
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		key, value, found := strings.Cut(lines.Text(), ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}

func loadAverage() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(content))[:3], " ")
}
