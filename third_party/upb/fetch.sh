#!/usr/bin/env bash
# Brings the upb headers and generator that belong to the system's libupb into the folder given as $1.
#
# Debian's libgrpc-dev ships libupb.so.29 without its headers, and two versions of upb in one process clash, so the
# headers come from the very source package that the library was built from. apt verifies its signature. Everything
# apt writes stays inside a folder of our own: /etc/apt and the system's package lists are only read.
set -euo pipefail

mkdir -p "$1"
destination=$(realpath "$1")
version=$(dpkg-query --show --showformat='${source:Version}' libgrpc-dev)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"/{sources,lists/partial,cache/archives/partial}

# The system's own sources, asked for source packages: the deb822 form and the one-line form.
for file in /etc/apt/sources.list.d/*.sources; do
  [ -e "$file" ] || continue
  sed 's/^Types:.*/Types: deb-src/' "$file" >"$scratch/sources/$(basename "$file")"
done
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -e "$file" ] || continue
  sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$file" >"$scratch/sources/$(basename "$file" .list).list"
done

apt_get() {
  apt-get -qq -o Dir::State::lists="$scratch/lists" -o Dir::Cache="$scratch/cache" \
    -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$scratch/sources" -o APT::Sandbox::User=root "$@"
}

# A third party's source without a source index makes `update` complain; what counts is that grpc is found.
apt_get update >"$scratch/update.log" 2>&1 || true
cd "$scratch"
if ! apt_get source --download-only "grpc=$version" >"$scratch/source.log" 2>&1; then
  cat "$scratch/update.log" "$scratch/source.log" >&2
  echo "upb: could not fetch Debian's source package grpc $version (is a 'main' archive configured in /etc/apt?)" >&2
  exit 1
fi

tar -xzf grpc_*.orig.tar.gz --wildcards --strip-components=1 \
  '*/third_party/upb/upb' '*/third_party/upb/upbc' '*/third_party/upb/LICENSE'
find third_party/upb \( -name BUILD -o -name BUILD.bazel \) -delete
cp -r third_party/upb/. "$destination/"
