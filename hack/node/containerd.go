package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const pauseImage = "nawhas.com/local/pause:1"

func (l layout) containerdSocket() string { return l.path("run", "containerd.sock") }

// containerd keeps everything below the node's own folder, so that it never
// meets another containerd of the machine.
func containerd(home layout) (process, error) {
	path, err := exec.LookPath("containerd")
	if err != nil {
		return process{}, fmt.Errorf("find containerd: %w", err)
	}
	return process{home: home, name: "containerd", argv: []string{path, "--config", home.path("etc", "containerd.toml")}}, nil
}

// startContainerd writes the configurations of containerd and its network and
// starts it. restrict_oom_score_adj is for machines without CAP_SYS_RESOURCE,
// where every sandbox would die otherwise.
func startContainerd(ctx context.Context, home layout) error {
	config := fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = %q
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = %q
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %q
`, home.path("containerd"), home.path("run", "containerd"), home.containerdSocket(), pauseImage, snapshotter(home),
		home.path("run", "runc"), home.path("etc", "cni"))
	if err := home.write("etc/containerd.toml", config); err != nil {
		return err
	}
	if err := writeCNI(home); err != nil {
		return err
	}
	p, err := containerd(home)
	if err != nil {
		return err
	}
	if err := p.start(); err != nil {
		return err
	}
	return p.ready(ctx, func(ctx context.Context) error {
		_, err := ctr(ctx, home, "version")
		return err
	})
}

// writeCNI connects pods by a bridge; addresses come from a list below the
// node's folder.
func writeCNI(home layout) error {
	return home.write("etc/cni/10-nawhas.conflist", fmt.Sprintf(`{
  "cniVersion": "0.4.0",
  "name": %q,
  "plugins": [
    {"type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
     "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": %q}]]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`, home.namespace, home.path("cni"), podCIDR))
}

// snapshotter is overlayfs, but for a checkout that is itself on one: the
// kernel refuses to stack them.
func snapshotter(home layout) string {
	var fs unix.Statfs_t
	if err := unix.Statfs(home.state, &fs); err == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}

func ctr(ctx context.Context, home layout, args ...string) (string, error) {
	return output(ctx, "ctr", append([]string{"--address", home.containerdSocket(), "--namespace", "k8s.io"}, args...)...)
}

// load is the command load: it gives images to the node, so that a pod whose
// pull policy is IfNotPresent needs no registry.
func load(ctx context.Context, home layout, files []string) error {
	if err := needRoot(); err != nil {
		return err
	}
	for _, file := range files {
		out, err := ctr(ctx, home, "images", "import", "--snapshotter", snapshotter(home), file)
		if err != nil {
			return fmt.Errorf("load %s: %w", file, err)
		}
		fmt.Println(strings.TrimSpace(out))
	}
	return nil
}

// loadPause builds and loads the image that holds a pod's network.
func loadPause(ctx context.Context, home layout) error {
	out, err := ctr(ctx, home, "images", "ls", "-q")
	if err == nil && strings.Contains(out, pauseImage) {
		return nil
	}
	program := filepath.Join(filepath.Dir(home.programs), "pause")
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("find the pause program: %w; `make cluster-up` builds it", err)
	}
	tarball := home.path("pause.tar")
	if err := writeImage(imageOptions{program: program, entrypoint: "/pause", name: pauseImage, out: tarball}); err != nil {
		return err
	}
	_, err = ctr(ctx, home, "images", "import", "--snapshotter", snapshotter(home), tarball)
	return err
}
