package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// needed are the programs of the machine and the Debian package of each.
var needed = []struct{ glob, debian string }{
	{"containerd", "containerd"},
	{"runc", "runc"},
	{"/usr/lib/cni/bridge", "containernetworking-plugins"},
	{"iptables", "iptables"},
	{"conntrack", "conntrack"},
	{"ip", "iproute2"},
	{"mount", "mount"},
	{"/usr/lib/postgresql/*/bin/initdb", "postgresql"},
}

// installPackages installs what is missing, or says what to install where
// there is no apt.
func installPackages(ctx context.Context) error {
	missing := missingPackages()
	if len(missing) == 0 {
		return nil
	}
	list := strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("the local node needs the programs of these Debian packages: %s; install them and run the command again", list)
	}
	fmt.Printf("installing Debian packages: %s\n", list)
	install := append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)
	if runApt(ctx, install...) == nil {
		return nil
	}
	if err := runApt(ctx, "update", "-qq"); err != nil {
		return fmt.Errorf("install %s: %w", list, err)
	}
	if err := runApt(ctx, install...); err != nil {
		return fmt.Errorf("install %s: %w", list, err)
	}
	return nil
}

func missingPackages() []string {
	var missing []string
	for _, program := range needed {
		if !present(program.glob) && !slices.Contains(missing, program.debian) {
			missing = append(missing, program.debian)
		}
	}
	return missing
}

func present(glob string) bool {
	if filepath.IsAbs(glob) {
		found, _ := filepath.Glob(glob)
		return len(found) > 0
	}
	_, err := exec.LookPath(glob)
	return err == nil
}

func runApt(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, out)
	}
	return nil
}
