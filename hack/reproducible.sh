#!/bin/sh
# Builds the images of the last commit twice, in two folders, the second time
# with nothing of the first, and compares them bit for bit.
set -eu
cd "$(dirname "$0")/.."
commit=$(git rev-parse --short HEAD)
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT

build() { # build NAME [GOCACHE]
	mkdir -p "$folder/$1"
	git archive HEAD | tar -x -C "$folder/$1"
	echo "building the images of $commit in $folder/$1"
	(
		cd "$folder/$1"
		[ -z "${2:-}" ] || export GOCACHE="$2"
		make --no-print-directory images COMMIT="$commit" >/dev/null
		cd bin/images && sha256sum ./*.tar
	) >"$folder/$1.sums"
	cat "$folder/$1.sums"
}

build one
build another-place "$folder/cache"
cmp "$folder/one.sums" "$folder/another-place.sums" || {
	echo "the images differ" >&2
	exit 1
}
echo "the images are the same"
