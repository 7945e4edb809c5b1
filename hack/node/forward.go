package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// listenerVariable hands the listener's descriptor to the program that goes on
// inside the node's network.
const listenerVariable = "NAWHAS_NODE_LISTENER"

// forward is the command of that name: it answers on this machine's loopback
// address, and leads each connection to an address of the node's network. A
// listener stays in the network in which it was opened, so that one process can
// have its ears outside and its hands inside.
func forward(ctx context.Context, home layout, args []string) error {
	port, target, err := forwardOf(args)
	if err != nil {
		return err
	}
	if err := needRoot(); err != nil {
		return err
	}
	if _, err := os.Stat(home.namespaceFile()); err != nil {
		return errors.New("the node is not up: run `make cluster-up`")
	}
	inside, err := isInside(home)
	if err != nil {
		return err
	}
	if !inside {
		return listenAndEnter(ctx, home, port)
	}
	listener, err := inherited()
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/ leads to %s in the node's network; ctrl-C ends it\n", listener.Addr(), target)
	return relay(ctx, listener, target)
}

// forwardOf reads a port of this machine, and the address that it leads to: the
// same port on the loopback address inside when it is left out.
func forwardOf(args []string) (port, target string, err error) {
	if len(args) < 1 || len(args) > 2 {
		return "", "", errors.New("forward needs a port and, unless it is the same port inside, an address such as 10.96.0.20:80")
	}
	port = args[0]
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return "", "", fmt.Errorf("%q is no port", port)
	}
	if len(args) == 1 {
		return port, net.JoinHostPort("127.0.0.1", port), nil
	}
	if _, _, err := net.SplitHostPort(args[1]); err != nil {
		return "", "", fmt.Errorf("%q is no address such as 10.96.0.20:80", args[1])
	}
	return port, args[1], nil
}

// listenAndEnter opens the listener and starts this program anew inside.
func listenAndEnter(ctx context.Context, home layout, port string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return fmt.Errorf("answer on port %s of this machine: %w", port, err)
	}
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return fmt.Errorf("hand the listener on: %w", err)
	}
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("hand the listener on: %w", err)
	}
	if err := os.Setenv(listenerVariable, strconv.Itoa(int(file.Fd()))); err != nil {
		return fmt.Errorf("hand the listener on: %w", err)
	}
	return enter(home)
}

func inherited() (net.Listener, error) {
	descriptor, err := strconv.Atoi(os.Getenv(listenerVariable))
	if err != nil {
		return nil, errors.New("this is inside the node's network already: start forward outside of it")
	}
	file := os.NewFile(uintptr(descriptor), "listener")
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("take the listener over: %w", err)
	}
	return listener, file.Close()
}

// relay leads connections to the target until the context ends. One that finds
// nobody there is closed.
func relay(ctx context.Context, listener net.Listener, target string) error {
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	for {
		outer, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("take a connection: %w", err)
		}
		go func() {
			defer func() { _ = outer.Close() }()
			inner, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
			if err != nil {
				fmt.Fprintln(os.Stderr, "nobody answers inside:", err)
				return
			}
			defer func() { _ = inner.Close() }()
			join(outer.(*net.TCPConn), inner.(*net.TCPConn))
		}()
	}
}

// join passes on what each side says, and that it has ended.
func join(a, b *net.TCPConn) {
	var both sync.WaitGroup
	for from, to := range map[*net.TCPConn]*net.TCPConn{a: b, b: a} {
		both.Go(func() {
			_, _ = io.Copy(to, from)
			_ = to.CloseWrite()
		})
	}
	both.Wait()
}
