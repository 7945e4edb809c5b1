// Command node runs a whole Kubernetes node on one Linux machine: control
// plane, containerd, kubelet and kube-proxy, and a Postgres beside them, all
// in one network namespace that has no way out.
//
// It is for trying and testing this repository, nothing else: one node, no
// cluster DNS, no registry, and data that nobody is meant to keep. Everything
// it starts and writes belongs to one checkout, so that two checkouts can have
// a node each.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Usage: node COMMAND

  programs       build the Kubernetes programs that up starts
  up             start the node and its Postgres, or reuse what runs
  down           stop everything that up started and delete its data
  status         say what runs
  image          write a container image of one static program as a tarball
  load FILE...   give container images (tarballs) to the node
  env            print the settings a shell needs, for: eval "$(node env)"
  exec PROGRAM   run a program inside the node's network
  forward PORT   let this machine's 127.0.0.1:PORT lead to the same port inside, or to an address behind it
  kill NAME...   end programs of the node (see status) or containers (containerd://ID) as a crash would
  start NAME...  start programs of the node again
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("no command given")
	}
	home, err := newLayout()
	if err != nil {
		return err
	}
	switch args[0] {
	case "programs":
		return buildPrograms(ctx, home)
	case "up":
		return up(ctx, home)
	case "down":
		return down(ctx, home)
	case "status":
		return status(ctx, home)
	case "image":
		return image(args[1:])
	case "load":
		return load(ctx, home, args[1:])
	case "env":
		return printEnv(home)
	case "exec":
		return execInside(home, args[1:])
	case "forward":
		return forward(ctx, home, args[1:])
	case "kill":
		return crash(ctx, home, args[1:])
	case "start":
		return startAgain(ctx, home, args[1:])
	default:
		fmt.Fprint(os.Stderr, usage)
		return fmt.Errorf("unknown command %q", args[0])
	}
}

// needRoot is asked before anything is touched, because network namespaces,
// mounts and containers all need it.
func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("the local node needs root for network namespaces, mounts and containers: run the command again with sudo, " +
			"or set KUBECONFIG to a cluster of yours")
	}
	return nil
}
