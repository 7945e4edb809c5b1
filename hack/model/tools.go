package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// ensureTools installs what is missing, if this process may.
func ensureTools(ctx context.Context) error {
	var missing []string
	for _, name := range []string{"spin", "gcc"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	names := strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("%s is missing: as root run apt-get install %[1]s, or install it from https://spinroot.com", names)
	}
	fmt.Printf("installing %s with apt-get\n", names)
	install := append([]string{"install", "--yes", "--no-install-recommends", "libc6-dev"}, missing...)
	if err := aptGet(ctx, install...); err == nil {
		return nil
	}
	// The lists of packages may be missing or old.
	if err := aptGet(ctx, "update"); err != nil {
		return err
	}
	return aptGet(ctx, install...)
}

func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lastLine(string(out)))
	}
	return nil
}
