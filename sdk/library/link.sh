#!/usr/bin/env bash
# link.sh CC AR OBJCOPY ARCHIVE SHARED SONAME SYSTEM_LIBRARY,... HIDDEN_OBJECT... -- MESSAGES_OBJECT...
# What goes where, and why: library.bzl.
set -euo pipefail

compiler=$1 ar=$2 objcopy=$3 archive=$4 shared=$5 soname=$6
IFS=, read -r -a system_libraries <<<"$7"
shift 7
hidden=()
while [ "$1" != -- ]; do
  hidden+=("$1")
  shift
done
shift
messages=("$@")

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$compiler" -nostdlib -r -o "$scratch/runtime.o" "${hidden[@]}"
"$objcopy" --localize-hidden "$scratch/runtime.o" "$scratch/daybook.o"
rm -f "$archive"
"$ar" qcD "$archive" "$scratch/daybook.o" "${messages[@]}"
"$ar" sD "$archive"

# -z defs: nothing may be left for the program to bring. The system's libraries are named, not taken in.
"$compiler" -shared -o "$shared" -Wl,-soname,"$soname" -Wl,-z,defs -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed \
  "${hidden[@]}" "${messages[@]}" "${system_libraries[@]/#/-l}" -lpthread
