#!/bin/sh
# The cluster that demo and e2e use: the one that KUBECONFIG names, or kind where
# kind and Docker are, or else this repository's own node (hack/node).
#
#   cluster.sh up | down | load IMAGE.tar... | run PROGRAM...
#
# NAWHAS_CLUSTER=local asks for the node where the others could be had, too.
#
# run starts a program with KUBECONFIG and the addresses of Postgres set, in a
# network from which both can be reached.
set -eu
cd "$(dirname "$0")/.."
name=nawhas

choose() {
	if [ -n "${NAWHAS_CLUSTER:-}" ]; then
		echo "$NAWHAS_CLUSTER"
	elif [ -n "${KUBECONFIG:-}" ]; then
		echo given
	elif command -v kind >/dev/null && docker info >/dev/null 2>&1; then
		echo kind
	else
		echo local
	fi
}

# Postgres for kind is a container in kind's network: pods and this machine
# reach it at the same address. Its accounts are those of the local node.
kind_postgres() {
	docker inspect "$name-postgres" >/dev/null 2>&1 && return
	docker run -d --name "$name-postgres" --network kind -e POSTGRES_HOST_AUTH_METHOD=scram-sha-256 \
		-e POSTGRES_PASSWORD="$name" postgres:17-alpine >/dev/null
	until docker exec "$name-postgres" pg_isready -h 127.0.0.1 -q; do sleep 1; done
	docker exec "$name-postgres" psql -q -U postgres \
		-c "CREATE ROLE nawhas_source LOGIN CREATEROLE PASSWORD '$name'" \
		-c "CREATE ROLE nawhas_databases LOGIN CREATEDB CREATEROLE PASSWORD '$name'" \
		-c "CREATE DATABASE source OWNER nawhas_source" \
		-c "REVOKE CONNECT ON DATABASE source FROM PUBLIC"
}

kind_environment() {
	kind export kubeconfig --name "$name" --kubeconfig bin/kind-kubeconfig >/dev/null 2>&1
	address=$(docker inspect -f '{{.NetworkSettings.Networks.kind.IPAddress}}' "$name-postgres")
	export KUBECONFIG="$PWD/bin/kind-kubeconfig" \
		NAWHAS_SOURCE_URL="postgres://nawhas_source:$name@$address:5432/source" \
		NAWHAS_DATABASES_URL="postgres://nawhas_databases:$name@$address:5432/postgres" \
		NAWHAS_AUDIT_URL="postgres://postgres:$name@$address:5432/postgres"
}

cluster=$(choose)
case "$cluster $1" in
"local up") bin/local-node programs && bin/local-node up ;;
"local down") bin/local-node down ;;
"local load") shift && bin/local-node load "$@" ;;
"local run")
	shift
	settings=$(bin/local-node env)
	eval "$settings"
	exec bin/local-node exec "$@"
	;;
"kind up")
	kind get clusters 2>/dev/null | grep -qx "$name" || kind create cluster --name "$name"
	kind_postgres
	;;
"kind down")
	kind delete cluster --name "$name"
	docker rm -f "$name-postgres" >/dev/null
	;;
"kind load")
	shift
	for image in "$@"; do kind load image-archive "$image" --name "$name"; done
	;;
"kind run")
	shift
	kind_environment
	exec "$@"
	;;
"given up")
	kubectl version >/dev/null
	: "${NAWHAS_SOURCE_URL:?with a KUBECONFIG of yours, set NAWHAS_SOURCE_URL to a Postgres that the pods and this machine reach (docs/local-node.md)}"
	: "${NAWHAS_DATABASES_URL:?with a KUBECONFIG of yours, set NAWHAS_DATABASES_URL too (docs/local-node.md)}"
	;;
"given down") echo "the cluster of KUBECONFIG is left as it is" ;;
"given load") echo "push the images in bin/images to where your cluster pulls from: this cannot load them into it" ;;
"given run")
	shift
	export NAWHAS_AUDIT_URL="${NAWHAS_AUDIT_URL:-$NAWHAS_DATABASES_URL}"
	exec "$@"
	;;
*)
	echo "Usage: cluster.sh up | down | load IMAGE.tar... | run PROGRAM..." >&2
	exit 2
	;;
esac
