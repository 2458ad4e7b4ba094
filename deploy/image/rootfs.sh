#!/usr/bin/env bash
# Assembles the image's root file system as a tar archive: the given programs, the shared libraries they load, the
# certificates of public authorities, and the records of the Debian packages all this comes from, so that scanners and
# lawyers find them. No shell, no package manager, nothing else.
#
#   deploy/image/rootfs.sh ARCHIVE PROGRAM...
#
# Needs no root. The same inputs give the same bytes; SOURCE_DATE_EPOCH sets the files' time (default 0). A library that
# no package owns, or that differs from its package, is refused: what is shipped is what Debian maintains.
set -euo pipefail
umask 022
export LC_ALL=C

user_id=10001 # also in Containerfile, which a test compares
epoch=${SOURCE_DATE_EPOCH:-0}

die() { printf 'rootfs: %s\n' "$*" >&2; exit 1; }

[ $# -ge 2 ] || die "usage: deploy/image/rootfs.sh ARCHIVE PROGRAM..."
archive=$1
shift

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
packages=$work/packages
mkdir -p "$root"/{etc/ssl/certs,usr/bin,usr/lib,usr/lib64,usr/share/doc,var/lib/dpkg/status.d}
# Debian's layout: the loader's path, built into every program, begins with /lib64.
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"

# find_owners < paths: writes "PATH PACKAGE" for each, as far as a package owns it. The package's list may say /lib where
# the system says /usr/lib. dpkg-query fails when one of the spellings is unknown, which is no error here.
find_owners() {
  awk '{ print; print "/usr" $0; if (sub("^/usr", "")) print }' | xargs dpkg-query --search 2>"$work/unowned" |
    awk '{ package = $1; sub(/,.*|:$/, "", package); print $NF, package }'
}

# take_library FOUND: copies what the loader finds at FOUND, under the name by which it is looked for.
take_library() {
  local found=$1 file package target
  file=$(readlink -f "$found")
  package=$(awk -v file="${file#/usr}" '{ path = $1; sub("^/usr", "", path) } path == file { print $2; exit }' \
    "$work/owners")
  [ -n "$package" ] || die "$found is from no Debian package"
  target=$root/usr/${found#/}
  target=${target/#"$root/usr/usr/"/"$root/usr/"}
  mkdir -p "$(dirname "$target")"
  install -m 0755 "$file" "$target"
  printf '%s\n' "$package" >>"$packages"
  printf '%s\n' "$file" "/usr$file" "${file#/usr}" >>"$work/files"
}

for program in "$@"; do
  [ -x "$program" ] || die "$program is not a program"
  ldd "$program" >"$work/ldd" || die "$program does not name its libraries"
  ! grep 'not found' "$work/ldd" >&2 || die "$program misses libraries"
  name=$(basename "$program")
  strip --strip-unneeded -o "$root/usr/bin/$name" "$program"
  chmod 0755 "$root/usr/bin/$name"
  # "libx.so => /path (address)" and, for the loader itself, "/path (address)".
  awk '$2 == "=>" { print $3 } $1 ~ "^/" { print $1 }' "$work/ldd" >>"$work/libraries"
done
sort -u -o "$work/libraries" "$work/libraries"
xargs readlink -f <"$work/libraries" | find_owners >"$work/owners" || true
while read -r library; do take_library "$library"; done <"$work/libraries"

# The bundle is put together from the package's own files: the machine's bundle may hold authorities of its own.
cat /usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
printf '%s\n' ca-certificates base-files >>"$packages"
printf '%s\n' /usr/share/ca-certificates/mozilla/*.crt >>"$work/files"

sort -u -o "$packages" "$packages"
while read -r package; do
  name=${package%%:*}
  dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$name"
  mkdir "$root/usr/share/doc/$name"
  # Through links: the licence of libstdc++6, for one, is kept in another package's folder.
  cat "/usr/share/doc/$name/copyright" >"$root/usr/share/doc/$name/copyright"
  dpkg --verify "$package" >>"$work/changed" || true
done <"$packages"
if grep --fixed-strings --word-regexp --file="$work/files" "$work/changed" >&2; then
  die "the files above differ from their Debian packages"
fi

install -m 0644 /usr/lib/os-release "$root/usr/lib/os-release"
ln -s ../usr/lib/os-release "$root/etc/os-release"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
printf 'root:x:0:0:root:/:/sbin/nologin\ndaybook:x:%d:%d:Daybook:/data:/sbin/nologin\n' "$user_id" "$user_id" \
  >"$root/etc/passwd"
printf 'root:x:0:\ndaybook:x:%d:\n' "$user_id" >"$root/etc/group"

# Every program must start on this root alone: its own loader finds all libraries in it.
mapfile -t folders < <(find "$root/usr/lib" -name '*.so*' -printf '%h\n' | sort -u)
loader=$(find "$root/usr/lib64" "$root/usr/lib" -name 'ld-linux*.so*' | head -n 1)
for program in "$root"/usr/bin/*; do
  "$loader" --inhibit-cache --library-path "$(IFS=:; printf '%s' "${folders[*]}")" --list "$program" >"$work/list" ||
    die "$(basename "$program") does not load from the image's root"
  if awk '$2 == "=>" { print $3 }' "$work/list" | grep --invert-match --fixed-strings "$root/" >&2; then
    die "$(basename "$program") would load the files above from outside of the image"
  fi
done

entries=("--sort=name" "--mtime=@$epoch" "--format=gnu" "--numeric-owner")
tar --create --file "$work/rootfs.tar" "${entries[@]}" --owner=0 --group=0 --directory "$root" .
# The data directory is the daemon's own, so that a volume that is made from it is as well.
mkdir --mode=0750 "$work/data"
tar --append --file "$work/rootfs.tar" "${entries[@]}" --owner="$user_id" --group="$user_id" --directory "$work" ./data
mkdir -p "$(dirname "$archive")"
mv "$work/rootfs.tar" "$archive"
