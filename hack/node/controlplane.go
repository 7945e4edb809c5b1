package main

import (
	"context"
	"fmt"
	"net/http"
)

// etcd keeps the cluster's objects. Nothing here has to survive a power cut,
// so it does not wait for the disk.
func etcd(home layout) process {
	return process{home: home, name: "etcd", argv: []string{
		home.program("etcd"),
		"--data-dir", home.path("etcd"),
		"--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
		"--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
		"--initial-cluster", "default=http://127.0.0.1:2380",
		"--unsafe-no-fsync", "--log-level", "warn",
	}}
}

// apiserver reaches the kubelet by address, because no DNS knows the node.
func apiserver(home layout) process {
	return process{home: home, name: "kube-apiserver", argv: []string{
		home.program("kube-apiserver"),
		"--etcd-servers", "http://127.0.0.1:2379",
		"--advertise-address", nodeAddress,
		"--service-cluster-ip-range", serviceCIDR,
		"--authorization-mode", "Node,RBAC",
		"--client-ca-file", home.path("pki", "ca.crt"),
		"--tls-cert-file", home.path("pki", "apiserver.crt"), "--tls-private-key-file", home.path("pki", "apiserver.key"),
		"--kubelet-client-certificate", home.path("pki", "apiserver-kubelet.crt"),
		"--kubelet-client-key", home.path("pki", "apiserver-kubelet.key"),
		"--kubelet-preferred-address-types", "InternalIP",
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", home.path("pki", "sa.pub"),
		"--service-account-signing-key-file", home.path("pki", "sa.key"),
	}}
}

func controllerManager(home layout) process {
	return process{home: home, name: "kube-controller-manager", argv: []string{
		home.program("kube-controller-manager"),
		"--kubeconfig", home.path("pki", "controller-manager.kubeconfig"),
		"--service-account-private-key-file", home.path("pki", "sa.key"),
		"--root-ca-file", home.path("pki", "ca.crt"),
		"--use-service-account-credentials",
		"--leader-elect=false",
	}}
}

func scheduler(home layout) process {
	return process{home: home, name: "kube-scheduler", argv: []string{
		home.program("kube-scheduler"),
		"--kubeconfig", home.path("pki", "scheduler.kubeconfig"),
		"--leader-elect=false",
	}}
}

// startControlPlane starts the four programs and waits until the API serves.
func startControlPlane(ctx context.Context, home layout) error {
	if err := startEtcd(ctx, home); err != nil {
		return err
	}
	if err := startAPIServer(ctx, home); err != nil {
		return err
	}
	if err := controllerManager(home).start(); err != nil {
		return err
	}
	return scheduler(home).start()
}

func startEtcd(ctx context.Context, home layout) error {
	p := etcd(home)
	if err := p.start(); err != nil {
		return err
	}
	return p.ready(ctx, answers("http://127.0.0.1:2379/health"))
}

func startAPIServer(ctx context.Context, home layout) error {
	p := apiserver(home)
	if err := p.start(); err != nil {
		return err
	}
	return p.ready(ctx, func(ctx context.Context) error {
		_, err := kubectl(ctx, home, "get", "--raw", "/readyz")
		return err
	})
}

func kubectl(ctx context.Context, home layout, args ...string) (string, error) {
	return output(ctx, home.program("kubectl"), append([]string{"--kubeconfig", home.kubeconfig(), "--request-timeout", "10s"}, args...)...)
}

// answers checks that a URL answers with 200.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("ask %s: %w", url, err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return fmt.Errorf("ask %s: %w", url, err)
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("ask %s: %s", url, response.Status)
		}
		return nil
	}
}
