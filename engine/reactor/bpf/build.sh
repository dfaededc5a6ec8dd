#!/bin/sh
# Makes steer.bin, the steering program's bare instructions, from steer.c. Needs clang and
# llvm-objcopy. Any clang will do for a private build; the committed file is made with clang 14, and
# a test compares when that is the one installed. An argument names another output file.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-"$here/steer.bin"}
object=$(mktemp)
trap 'rm -f "$object"' EXIT
clang -O2 -Wall -Werror -target bpf -mcpu=v3 \
    -I"/usr/include/$(uname -m)-linux-gnu" -c "$here/steer.c" -o "$object"
llvm-objcopy --only-section=program -O binary "$object" "$out"
