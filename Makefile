# What you can make. Everything made goes below bin/.
VERSION        ?= 3.1.2
NEXT           ?= 3.2.0
IMAGE          ?= ghcr.io/nawhas/api
OPERATOR_IMAGE ?= ghcr.io/nawhas/nawhas-operator:dev
EVENTS         ?= 100000
SEED           ?= 1

MODULE  := github.com/nawhas/nawhas-operator
COMMIT  := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
OPERATOR_TAG = $(lastword $(subst :, ,$(OPERATOR_IMAGE)))
LDFLAGS := -s -w -X $(MODULE)/internal/buildinfo.Commit=$(COMMIT) -X $(MODULE)/internal/buildinfo.Operator=$(OPERATOR_TAG)
TOOLS   := bin/tools/golangci-lint bin/tools/controller-gen bin/tools/gotestsum bin/tools/govulncheck

PLATFORM_TOOLS := bin/tools/helm bin/tools/kubeconform bin/tools/kube-score bin/tools/kustomize

# One set of flags for everything, so that programs, linters and tests share what
# was compiled. A checkout that belongs to somebody else is no reason not to build.
export CGO_ENABLED := 0
export GOFLAGS     := -trimpath -buildvcs=false

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
.DEFAULT_GOAL := help

.PHONY: generate
generate: bin/tools/controller-gen bin/tools/crd-ref-docs ## Generate deep copies, the CRD, the operator's role, the chart's copies and the reference docs/api.md
	bin/tools/controller-gen object paths=./api/...
	bin/tools/controller-gen crd:generateEmbeddedObjectMeta=true paths=./api/... output:crd:dir=config/crd/bases
	go run ./hack/crd config/crd/bases/releases.nawhas.com_nawhasreleases.yaml spec.env spec.envFrom spec.workloads.template spec.workloads.autoscaling.metrics spec.workloads.autoscaling.behavior
	@if [ -d controllers ]; then bin/tools/controller-gen rbac:roleName=nawhas-operator paths=./controllers/... output:rbac:dir=config/rbac; fi
	cp config/crd/bases/releases.nawhas.com_nawhasreleases.yaml charts/nawhas-operator/files/crd.yaml
	cp config/rbac/role.yaml charts/nawhas-operator/files/role.yaml
	bin/tools/crd-ref-docs --log-level=ERROR --config=hack/reference/config.yaml --source-path=api/v1alpha1 --renderer=markdown --templates-dir=hack/reference/templates --output-path=docs/api.md
	cp config/prometheus/rules.yaml charts/nawhas-operator/files/rules.yaml
	cp config/grafana/releases.json charts/nawhas-operator/files/dashboard.json

.PHONY: build
build: ## Build the programs nawhas and manager for containers
	@echo "building nawhas $(VERSION) and $(NEXT), and the operator"
	@go build -ldflags '$(LDFLAGS) -X $(MODULE)/internal/buildinfo.Version=$(VERSION)' -o bin/linux/nawhas ./cmd/nawhas
	@go build -ldflags '$(LDFLAGS) -X $(MODULE)/internal/buildinfo.Version=$(NEXT)' -o bin/linux/nawhas-next ./cmd/nawhas
	@go build -ldflags '$(LDFLAGS)' -o bin/linux/manager ./cmd/manager

.PHONY: plugin
plugin: ## Build the kubectl plugin bin/kubectl-nawhas for this machine
	@go build -ldflags '$(LDFLAGS)' -o bin/kubectl-nawhas ./cmd/kubectl-nawhas

.PHONY: images
images: build local-node ## Write the container images to bin/images
	@bin/local-node image --program bin/linux/nawhas --entrypoint /nawhas --name $(IMAGE):$(VERSION) --out bin/images/nawhas.tar
	@bin/local-node image --program bin/linux/nawhas-next --entrypoint /nawhas --name $(IMAGE):$(NEXT) --out bin/images/nawhas-next.tar
	@bin/local-node image --program bin/linux/manager --entrypoint /manager --name $(OPERATOR_IMAGE) --out bin/images/manager.tar

.PHONY: reproducible
reproducible: ## Build the images twice, with nothing reused, and compare them
	hack/reproducible.sh

# Edition 3.3.0 with a mistake, for the end-to-end tests: what test/e2e/testdata/forgetful adds to the library is not in any other program.
.PHONY: broken-image
broken-image: local-node
	@go build -overlay test/e2e/testdata/forgetful/overlay.json -ldflags '$(LDFLAGS) -X $(MODULE)/internal/buildinfo.Version=3.3.0' -o bin/linux/nawhas-forgetful ./cmd/nawhas
	@bin/local-node image --program bin/linux/nawhas-forgetful --entrypoint /nawhas --name $(IMAGE):3.3.0 --out bin/images/nawhas-forgetful.tar

.PHONY: test
test: tools cluster-programs images broken-image ## Run lint, known vulnerabilities, unit, integration and end-to-end tests
	@go run ./hack/test

.PHONY: build-installer
build-installer: bin/tools/kustomize ## Write dist/install.yaml, which installs the operator OPERATOR_IMAGE
	@mkdir -p dist bin/installer
	@printf 'resources: [../../config/default]\nimages: [{name: ghcr.io/nawhas/nawhas-operator, newName: "%s", newTag: "%s"}]\n' \
		'$(patsubst %:$(OPERATOR_TAG),%,$(OPERATOR_IMAGE))' '$(OPERATOR_TAG)' > bin/installer/kustomization.yaml
	@bin/tools/kustomize build bin/installer > dist/install.yaml
	@echo "dist/install.yaml installs $(OPERATOR_IMAGE): kubectl apply --server-side -f dist/install.yaml"

.PHONY: argocd-customizations
argocd-customizations: ## Write dist/argocd-cm.yaml, which teaches Argo CD the health and the actions of releases
	@mkdir -p dist
	@go run ./hack/argocd config/argocd > dist/argocd-cm.yaml

.PHONY: lint
lint: tools ## Run the linters
	@go run ./hack/test lint

.PHONY: test-unit
test-unit: tools cluster-programs ## Run unit and integration tests
	@go run ./hack/test unit integration controllers

.PHONY: test-race
test-race: tools cluster-programs ## As test-unit, with the race detector on everything
	@RACE=1 go run ./hack/test unit integration controllers

.PHONY: test-e2e
test-e2e: tools cluster-programs images broken-image ## Run the tests on a Kubernetes node
	@go run ./hack/test e2e

.PHONY: test-crashes
test-crashes: tools cluster-programs ## End the operator before and after every one of its side effects
	@go run ./hack/test crashes

.PHONY: test-faults
test-faults: tools cluster-programs images broken-image ## Kill parts of the node in mid-switch, under load
	@go run ./hack/test faults

.PHONY: test-platform
test-platform: cluster-programs $(PLATFORM_TOOLS) bin/tools/promtool build-installer ## Check the ways to install the operator with Helm's, kustomize's and others' tools
	@PATH="$(CURDIR)/bin/tools:$$PATH" go run ./hack/test platform

.PHONY: test-dashboard
test-dashboard: ## Look at the dashboard in a real browser; pictures go to bin/dashboard
	@command -v chromium >/dev/null || [ -n "$(CHROMIUM)" ] || apt-get install -qq --no-install-recommends chromium
	@cd hack/browser && go test -count=1 -tags browser ./...

.PHONY: test-monitoring
test-monitoring: cluster-programs images broken-image bin/tools/prometheus bin/tools/gotestsum ## Have a real Prometheus watch a release through all the alerts, on a Kubernetes node
	@go run ./hack/test monitoring

.PHONY: test-argocd
test-argocd: cluster-programs images broken-image argocd-customizations argocd-manifests bin/tools/argocd bin/tools/kustomize bin/tools/gotestsum ## Have a real Argo CD release versions from a Git repository, on a Kubernetes node
	@go run ./hack/test argocd

.PHONY: model
model: ## Check the models of the protocol, and that their mutants are caught
	@go run ./hack/model

SEEDS  ?= 20
ONLY   ?= 0
MISSED ?=
.PHONY: chaos
chaos: chaos-programs ## Take releases through SEEDS random schedules of faults and kills, and audit them (ONLY: one of them alone; MISSED=1: what the last run did not come to)
	@bin/chaos/chaos --seeds $(SEEDS) --seed $(ONLY) $(if $(MISSED),--missed)

.PHONY: chaos-points
chaos-points: chaos-programs ## Add what is new to the list of side effects at which make chaos ends programs
	@bin/chaos/chaos --seeds $(SEEDS) --record

.PHONY: chaos-programs
chaos-programs: build cluster-programs
	@go build -ldflags '$(LDFLAGS) -X $(MODULE)/internal/buildinfo.Version=3.2.1' -o bin/linux/nawhas-third ./cmd/nawhas
	@go build -o bin/chaos/chaos ./test/chaos

.PHONY: mutants
mutants: ## Damage databases in every way we know and see that the verification notices
	@rm -f bin/verify/mutants.json
	@NAWHAS_MUTANTS=$(CURDIR)/bin/verify/mutants.json go test -count=1 -run 'TestMutants|TestSound' ./internal/verify

.PHONY: vulnerabilities
vulnerabilities: tools ## Ask the Go vulnerability database about what is linked in
	@go run ./hack/test vulnerabilities

.PHONY: cluster-up
cluster-up: local-node ## Start the cluster: KUBECONFIG, kind, or a node of this repository's own
	hack/cluster.sh up

.PHONY: cluster-down
cluster-down: local-node ## Stop the cluster and delete its data
	hack/cluster.sh down

.PHONY: demo
demo: images ## Take 3.1.2 from nothing to live, go to 3.2.0, back and forward under load, and audit it
	go build -o bin/demo/demo ./hack/demo
	hack/cluster.sh up
	hack/cluster.sh load bin/images/nawhas.tar bin/images/nawhas-next.tar bin/images/manager.tar
	hack/cluster.sh run bin/demo/demo --events $(EVENTS) --seed $(SEED)

.PHONY: recording
recording: images plugin ## Record a release on the node anew: docs/recordings, and the picture of it in docs/images
	@for tool in asciinema termtosvg; do command -v $$tool >/dev/null || apt-get install -qq --no-install-recommends $$tool; done
	@go build -o bin/recording/recording ./hack/recording
	hack/cluster.sh up
	hack/cluster.sh load bin/images/nawhas.tar bin/images/nawhas-next.tar bin/images/manager.tar
	hack/cluster.sh run bin/recording/recording
	LC_ALL=C.UTF-8 termtosvg render docs/recordings/release.cast docs/images/release.svg --template window_frame

.PHONY: demo-laravel
demo-laravel: images laravel-images ## Release the stand-in of a stock Laravel application, 7.2.1, 7.2.2 and back, under writes, and compare its databases with the log
	go build -o bin/demo/laravel ./hack/laravel/demo
	hack/cluster.sh up
	hack/cluster.sh load bin/images/laravel-7.2.1.tar bin/images/laravel-7.2.2.tar bin/images/manager.tar
	hack/cluster.sh run bin/demo/laravel

.PHONY: test-laravel
test-laravel: images laravel-images ## Hold the stand-in to the stock application, and release it with a round that is killed half way
	go test -count=1 -tags laravel ./hack/laravel/...
	go build -o bin/demo/laravel ./hack/laravel/demo
	hack/cluster.sh up
	hack/cluster.sh load bin/images/laravel-7.2.1.tar bin/images/laravel-7.2.2.tar bin/images/manager.tar
	hack/cluster.sh run bin/demo/laravel --events 5000 --kill

# PHP from Debian's packages, and the application beside it, once for each version.
.PHONY: laravel-images
laravel-images: local-node bin/laravel/php/usr/bin/php8.2
	@for version in 7.2.1 7.2.2; do \
		rm -rf bin/laravel/$$version && mkdir -p bin/laravel/$$version/var/www && cp -r hack/laravel/app bin/laravel/$$version/var/www/api && \
		echo $$version > bin/laravel/$$version/var/www/api/VERSION && \
		bin/local-node image --folder bin/laravel/php --folder bin/laravel/$$version --workdir /var/www/api --env PATH=/usr/local/bin:/usr/bin:/bin \
			--env PHP_INI_SCAN_DIR=/etc/php/stand-in --name ghcr.io/nawhas/laravel-stand-in:$$version --out bin/images/laravel-$$version.tar || exit 1; \
	done

bin/laravel/php/usr/bin/php8.2: hack/laravel/php.sh
	@echo "unpacking PHP from Debian's packages"
	@hack/laravel/php.sh bin/laravel/php
	@touch $@

.PHONY: bench
bench: ## Measure replay, follow and append next to their rivals (BENCH=--quick: in a minute, without judging)
	@go build -ldflags '$(LDFLAGS)' -o bin/bench/nawhas ./cmd/nawhas
	@cd hack/bench && go build -o ../../bin/bench/bench .
	bin/bench/bench $(BENCH)

.PHONY: bench-operator
bench-operator: cluster-programs bin/tools/kwok ## Measure the operator with a thousand releases (BENCH=--quick: with 40, without judging)
	@go build -ldflags '$(LDFLAGS)' -o bin/bench/manager ./cmd/manager
	@cd hack/operatorbench && go build -o ../../bin/bench/operatorbench .
	bin/bench/operatorbench $(BENCH)

.PHONY: clean
clean: ## Stop the local node and delete everything made
	@if [ -x bin/local-node ]; then bin/local-node down; fi
	rm -rf bin

.PHONY: local-node
local-node:
	@cd hack/node && go build -o ../../bin/local-node . && go build -ldflags '-s -w' -o ../../bin/pause ./pause

.PHONY: cluster-programs
cluster-programs: local-node
	@bin/local-node programs

.PHONY: tools
tools: $(TOOLS)

bin/tools/golangci-lint: hack/tools/go.mod hack/tools/golangci-lint/main.go
	@echo "building golangci-lint with kube-api-linter, the first time about 3 minutes"
	@cd hack/tools && go build -ldflags '-s -w' -o ../../$@ ./golangci-lint

bin/tools/controller-gen: PACKAGE := sigs.k8s.io/controller-tools/cmd/controller-gen
bin/tools/gotestsum: PACKAGE := gotest.tools/gotestsum
bin/tools/govulncheck: PACKAGE := golang.org/x/vuln/cmd/govulncheck
bin/tools/%: hack/tools/go.mod
	@echo "building $*"
	@cd hack/tools && go build -ldflags '-s -w' -o ../../$@ $(PACKAGE)

bin/tools/helm: PACKAGE := helm.sh/helm/v4/cmd/helm
bin/tools/kubeconform: PACKAGE := github.com/yannh/kubeconform/cmd/kubeconform
bin/tools/kustomize: PACKAGE := sigs.k8s.io/kustomize/kustomize/v5
bin/tools/helm bin/tools/kubeconform bin/tools/kustomize: hack/platform/go.mod
	@echo "building $(notdir $@)"
	@cd hack/platform && go build -ldflags '-s -w' -o ../../$@ $(PACKAGE)

bin/tools/crd-ref-docs: hack/reference/go.mod
	@echo "building crd-ref-docs"
	@cd hack/reference && go build -ldflags '-s -w' -o ../../$@ github.com/elastic/crd-ref-docs

bin/tools/argocd: hack/argo/go.mod hack/argo/redis/main.go
	@echo "building Argo CD, the first time about 5 minutes"
	@cd hack/argo && go build -ldflags '-s -w' -o ../../bin/tools/argocd-redis ./redis && go build -ldflags '-s -w' -o ../../$@ github.com/argoproj/argo-cd/v3/cmd

# What Argo CD is installed with: its definitions, and its settings as they come.
.PHONY: argocd-manifests
argocd-manifests:
	@rm -rf bin/argocd && mkdir -p bin/argocd
	@from=$$(cd hack/argo && go list -m -f '{{.Dir}}' github.com/argoproj/argo-cd/v3)/manifests && \
		cp -r $$from/crds bin/argocd/crds && cp -r $$from/base/config bin/argocd/config && chmod -R u+w bin/argocd && \
		rm -f bin/argocd/*/kustomization.yaml

# It needs a Kubernetes API of years ago, and so a module of its own.
bin/tools/kube-score: hack/score/go.mod
	@echo "building kube-score"
	@cd hack/score && go build -ldflags '-s -w' -o ../../$@ github.com/zegl/kube-score/cmd/kube-score

bin/tools/kwok: hack/kwok/go.mod
	@echo "building KWOK, the first time about 2 minutes"
	@cd hack/kwok && go build -ldflags '-s -w' -o ../../$@ sigs.k8s.io/kwok/cmd/kwok

# Taken out of their package, which would start a server when installed.
bin/tools/promtool bin/tools/prometheus &:
	@echo "unpacking prometheus and promtool from the Debian package prometheus"
	@rm -rf bin/prometheus && mkdir -p bin/prometheus bin/tools
	@cd bin/prometheus && { apt-get -o APT::Sandbox::User=root download -qq prometheus || { apt-get update -qq && apt-get -o APT::Sandbox::User=root download -qq prometheus; }; } && dpkg -x prometheus_*.deb . \
		|| { echo "Prometheus cannot be had here; put prometheus and promtool into bin/tools"; exit 1; }
	@mv bin/prometheus/usr/bin/promtool bin/prometheus/usr/bin/prometheus bin/tools/ && rm -rf bin/prometheus
	@touch bin/tools/promtool bin/tools/prometheus
