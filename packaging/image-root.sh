#!/bin/sh
# The files of the container image: the executable, the shared libraries that it names, and the few files that a system without
# anything else needs. No shell, no package manager.
#
#   packaging/image-root.sh FOLDER [EXECUTABLE]
set -eu

root=$1
executable=${2:-dist/millrace}
here=$(dirname "$0")

mkdir -p "$root"
install -D -m 755 "$executable" "$root/usr/bin/millrace"
# `name => /path (address)`, and the loader by its path alone. What the kernel itself maps has no path.
ldd "$executable" | grep -o '/[^ ]*' | while read -r library; do
  install -D -m 755 "$library" "$root$library"
done
install -D -m 644 "$here/millrace.yaml" "$root/etc/millrace/millrace.yaml"
printf 'millrace:x:65532:65532:Millrace:/var/lib/millrace:/nonexistent\n' >"$root/etc/passwd"
printf 'millrace:x:65532:\n' >"$root/etc/group"
# Names in /etc/hosts count before those of DNS.
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
install -d -m 1777 "$root/tmp"
# Keys and certificates of its own.
install -d -m 700 "$root/var/lib/millrace"
[ "$(id -u)" != 0 ] || chown 65532:65532 "$root/var/lib/millrace"
