#!/usr/bin/env bash
# Makes the generator's output of today the golden one. Read the difference before it is committed.
set -euo pipefail
cd "$(dirname "$0")/../.."
bazel build //sdk/plugin:protoc-gen-grpc-c
runfiles=$(mktemp -d)
trap 'rm -rf "$runfiles"' EXIT
ln -s "$PWD/bazel-bin" "$runfiles/daybook"
TEST_SRCDIR=$runfiles PYTHONDONTWRITEBYTECODE=1 python3 tests/golden/golden_test.py --update tests/golden
git status --short tests/golden
