package main

import (
	"context"
	"fmt"
	"strings"
)

const nodeName = "nawhas"

func kubelet(home layout) process {
	return process{home: home, name: "kubelet", argv: []string{
		home.program("kubelet"),
		"--config", home.path("etc", "kubelet.yaml"),
		"--kubeconfig", home.path("pki", "kubelet.kubeconfig"),
		"--root-dir", home.path("kubelet"),
		"--hostname-override", nodeName,
		"--node-ip", nodeAddress,
	}}
}

// startKubelet turns off what would touch the machine or other nodes on it:
// pods get no cgroup hierarchy shared with another kubelet, a full disk evicts
// nobody, and images that were loaded are never collected. Names of Services
// are refused at once, because nothing listens for DNS.
func startKubelet(home layout) error {
	err := home.write("etc/kubelet.yaml", fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %q}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: %q
tlsCertFile: %q
tlsPrivateKeyFile: %q
volumePluginDir: %q
podLogsDir: %q
clusterDomain: cluster.local
clusterDNS: [%q]
resolvConf: ""
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
evictionHard: {"memory.available": "50Mi", "nodefs.available": "0%%", "nodefs.inodesFree": "0%%", "imagefs.available": "0%%", "imagefs.inodesFree": "0%%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
syncFrequency: 10s
nodeStatusUpdateFrequency: 5s
shutdownGracePeriod: 0s
`, home.path("pki", "ca.crt"), "unix://"+home.containerdSocket(), home.path("pki", "kubelet.crt"), home.path("pki", "kubelet.key"),
		home.path("kubelet", "plugins"), home.path("log", "pods"), nodeAddress))
	if err != nil {
		return err
	}
	return kubelet(home).start()
}

func kubeProxy(home layout) process {
	return process{home: home, name: "kube-proxy", argv: []string{
		home.program("kube-proxy"),
		"--kubeconfig", home.path("pki", "kube-proxy.kubeconfig"),
		"--hostname-override", nodeName,
		"--proxy-mode", "iptables",
		"--cluster-cidr", podCIDR,
		"--conntrack-max-per-core", "0",
	}}
}

// waitForNode returns when pods can be scheduled and have an account to run as.
func waitForNode(ctx context.Context, home layout) error {
	return kubelet(home).ready(ctx, func(ctx context.Context) error {
		out, err := kubectl(ctx, home, "get", "node", nodeName, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		if err != nil {
			return err
		}
		if strings.TrimSpace(out) != "True" {
			return fmt.Errorf("the node is not Ready")
		}
		_, err = kubectl(ctx, home, "get", "serviceaccount", "default")
		return err
	})
}
