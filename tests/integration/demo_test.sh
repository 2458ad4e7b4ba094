#!/usr/bin/env bash
# The demo as a user runs it, on the sample that it ships: the binaries are found where `make build` leaves them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -rL "$TEST_SRCDIR/daybook/examples" "$work/"
ln -s "$TEST_SRCDIR/daybook" "$work/bazel-bin"
"$work/examples/shop/demo.sh"
