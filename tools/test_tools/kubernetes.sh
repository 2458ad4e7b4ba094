#!/usr/bin/env bash
# Installs what tests/deploy needs beside Python into DIRECTORY/bin, with whatever Go the machine has. Does and prints
# nothing when it is there. Usage: tools/test_tools/kubernetes.sh DIRECTORY
set -euo pipefail

directory=$(mkdir -p "${1:?usage: tools/test_tools/kubernetes.sh DIRECTORY}" && cd "$1" && pwd)
kustomize_version=v5.0.3 # the newest that Debian 12's Go 1.19 builds

stamp=$directory/kustomize-$kustomize_version
if [ ! -e "$stamp" ]; then
  echo "setup: building kustomize $kustomize_version"
  # Pure Go: it needs no C compiler, and starts on any machine. Never a toolchain other than the machine's own.
  GOBIN=$directory/bin GOFLAGS=-mod=mod GOTOOLCHAIN=local CGO_ENABLED=0 \
    go install "sigs.k8s.io/kustomize/kustomize/v5@$kustomize_version"
  touch "$stamp"
fi
