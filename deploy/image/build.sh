#!/usr/bin/env bash
# Builds the container image from the programs that `make build` leaves; `make image` does both.
#
#   deploy/image/build.sh [DAYBOOKD DAYBOOK]
#
# Options, by environment:
#   IMAGE              name of the image (localhost/daybook); its tag is the daemon's version
#   ENGINE             buildah, podman or docker (the first that is installed)
#   SOURCE_DATE_EPOCH  time of the image and of its files (the newest commit's): the same inputs give the same image
# In an unprivileged container itself, let buildah do without namespaces and overlays, by its own two variables:
# BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs.
set -euo pipefail
cd "$(dirname "$0")/../.."

daybookd=${1:-bazel-bin/service/daybookd}
daybook=${2:-bazel-bin/sdk/cli/daybook}
image=${IMAGE:-localhost/daybook}
engine=${ENGINE:-}

die() { printf 'image: %s\n' "$*" >&2; exit 1; }

if [ -z "$engine" ]; then
  for candidate in buildah podman docker; do
    if command -v "$candidate" >/dev/null; then engine=$candidate; break; fi
  done
fi
command -v "${engine:-buildah}" >/dev/null || die "${engine:-buildah} is needed: apt-get install buildah (podman and docker do as well)"
for program in "$daybookd" "$daybook"; do
  [ -x "$program" ] || die "$program is not there: make build"
done

version=$("$daybookd" --version)
version=${version#daybookd }
revision=$(git rev-parse HEAD)
git diff --quiet HEAD -- || revision+=-modified
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
deploy/image/rootfs.sh "$context/rootfs.tar" "$daybookd" "$daybook"

options=(
  --file deploy/image/Containerfile
  --tag "$image:$version"
  --build-arg "VERSION=$version"
  --build-arg "REVISION=$revision"
  --build-arg "CREATED=$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)"
)
# Docker takes the time from SOURCE_DATE_EPOCH; the other two want to be told.
[ "$engine" = docker ] || options+=(--timestamp "$SOURCE_DATE_EPOCH")
"$engine" build "${options[@]}" "$context"

printf 'image: %s:%s, revision %s\n' "$image" "$version" "$revision"
