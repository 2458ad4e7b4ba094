#!/usr/bin/env bash
# make_tree.sh MANIFEST ARCHIVE: packs what the manifest lists, a line each: SOURCE<tab>DESTINATION, or ->TARGET<tab>LINK.
# The same files give the same archive: no times, no owners. It has no folders: those that are there keep what they are.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

while IFS=$'\t' read -r source destination; do
  mkdir -p "$scratch/$(dirname "$destination")"
  if [ -e "$scratch/$destination" ] || [ -L "$scratch/$destination" ]; then
    echo "install: two files would be $destination" >&2
    exit 1
  fi
  case $source in
    '->'*) ln -s "${source#->}" "$scratch/$destination" ;;
    *)
      mode=644
      case $destination in bin/*) mode=755 ;; esac
      install -m "$mode" "$source" "$scratch/$destination"
      ;;
  esac
done <"$1"

(cd "$scratch" && find . \( -type f -o -type l \) -printf '%P\0' | LC_ALL=C sort -z) |
  tar -cf "$2" -C "$scratch" --null --no-recursion --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu -T -
