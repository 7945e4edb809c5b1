#!/bin/sh
# Unpacks PHP for the command line, with what it needs, from Debian's packages
# into a folder that can be the root of a container. Nothing is installed.
#
#   php.sh FOLDER
set -eu
folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What the packages need, but for what only their installation does.
packages() {
	apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
		php8.2-cli php8.2-pgsql php8.2-mbstring 2>/dev/null | grep -E '^(lib|php8|zlib|tzdata|gcc-[0-9]+-base)' | grep -vE '^lib(debconfclient|pam|perl|gdbm|selinux|audit|semanage)' | sort -u
}

list=$(packages)
if ! echo "$list" | grep -qx php8.2-cli; then
	apt-get update -qq || true
	list=$(packages)
fi
if ! echo "$list" | grep -qx php8.2-cli; then
	echo "PHP cannot be had here: php8.2-cli, php8.2-pgsql and php8.2-mbstring of Debian 12 are needed for the stand-in of the Laravel application" >&2
	exit 1
fi
(cd "$work" && for package in $list; do
	apt-cache show "$package" >/dev/null 2>&1 || continue
	apt-get -o APT::Sandbox::User=root download -qq "$package" || { echo "Debian's package $package cannot be had" >&2; exit 1; }
done)
rm -rf "$folder.new"
mkdir -p "$folder.new"
for package in "$work"/*.deb; do
	dpkg-deb -x "$package" "$folder.new"
done
rm -rf "$folder.new/usr/share/doc" "$folder.new/usr/share/man" "$folder.new/usr/share/locale" "$folder.new/usr/share/lintian" "$folder.new/usr/share/bug"
mkdir -p "$folder.new/etc/php/stand-in"
ln -sf php8.2 "$folder.new/usr/bin/php"
printf 'extension=pdo\nextension=pdo_pgsql\nextension=mbstring\ndisplay_errors=0\nlog_errors=1\n' >"$folder.new/etc/php/stand-in/php.ini"
rm -rf "$folder"
mv "$folder.new" "$folder"
