#!/usr/bin/env bash
# A demo as a user runs it: demo_test.sh examples/NAME/demo.sh [ARGUMENT...]. The binaries are found where `make build` leaves
# them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -rL "$TEST_SRCDIR/daybook/examples" "$work/"
ln -s "$TEST_SRCDIR/daybook" "$work/bazel-bin"
"$work/$1" "${@:2}"
