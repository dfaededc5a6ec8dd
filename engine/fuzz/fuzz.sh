#!/usr/bin/env bash
# Fuzzing with libFuzzer on stable Rust: builds the targets with coverage counters, then
#   fuzz.sh smoke                a minute over all targets, from the committed corpus; fails on a finding
#   fuzz.sh hours HOURS [TARGET] until the time is up or something is found; all targets share the time
#   fuzz.sh minimise TARGET FILE the shortest input with the same finding
#   fuzz.sh distil TARGET        replace the committed corpus by the smallest with the same coverage
# The growing corpus and the findings are kept under target/fuzz/.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target_dir=${CARGO_TARGET_DIR:-$root/target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
targets=(parse sdp rtp stack shard)
# Seconds of the smoke, by target: the deeper the world, the more.
declare -A share=([parse]=12 [sdp]=6 [rtp]=4 [stack]=12 [shard]=26)
# Longest inputs that are committed, so that the repository stays small.
declare -A kept=([parse]=200 [sdp]=150 [rtp]=100 [stack]=160 [shard]=260)
# Longest inputs: a datagram of one packet; for worlds, their steps.
declare -A longest=([parse]=1400 [sdp]=1400 [rtp]=600 [stack]=1200 [shard]=600)

# Of a world the grammar knows the words: there the hooks of every comparison would only take half of the time.
is_world() { [ "$1" = stack ] || [ "$1" = shard ]; }

# build DIRECTORY [FLAG]: every target
build() {
    # --target keeps the counters out of build scripts, which do not link the fuzzing engine.
    RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table ${2:-}" \
        CARGO_TARGET_DIR="$target_dir/$1" \
        cargo build --locked --profile checked --target "$host" -p tipring-fuzz --features libfuzzer \
        --manifest-path "$root/Cargo.toml"
}

binary() {
    local directory=build
    if is_world "$1"; then directory=worlds; fi
    echo "$target_dir/$directory/$host/checked/fuzz-$1"
}

# unpack TARGET DIRECTORY: the committed corpus, one file for each line of hexadecimal digits
unpack() {
    local number=0 line
    mkdir -p "$2"
    while read -r line; do
        printf "$(sed 's/../\\x&/g' <<<"$line")" >"$2/kept-$((number++))"
    done <"$here/corpus/$1.hex"
}

# The directories of a target's other inputs: findings of the past; for the parser, the torture messages.
seeds() {
    find "$here/regressions/$1" -maxdepth 0 -type d 2>/dev/null || true
    if [ "$1" = parse ]; then echo "$root/engine/wire/tests/torture"; fi
}

# fuzz TARGET SECONDS CORPUS: new inputs go to CORPUS
fuzz() {
    local findings="$target_dir/findings/$1/"
    mkdir -p "$findings"
    unpack "$1" "$3"
    # shellcheck disable=SC2046 # the paths are words
    "$(binary "$1")" -max_total_time="$2" -max_len="${longest[$1]}" -timeout=20 -rss_limit_mb=2048 -len_control=0 \
        -artifact_prefix="$findings" -dict="$here/sip.dict" -print_final_stats=1 -verbosity="${VERBOSITY:-1}" \
        "$3" $(seeds "$1") >"$target_dir/$1.txt" 2>&1 || found "$1" "$findings"
    local units coverage
    units=$(sed -n 's/^stat::number_of_executed_units: //p' "$target_dir/$1.txt")
    coverage=$(sed -n 's/.* cov: \([0-9]*\) ft: \([0-9]*\).*/\1 edges, \2 features/p' "$target_dir/$1.txt" | tail -1)
    echo "fuzz $1: $units executions, $coverage"
}

found() {
    tail -40 "$target_dir/$1.txt"
    echo "fuzz $1: FOUND SOMETHING. The input is the newest file of $2"
    echo "  replay:   FUZZ_INPUT=<file> cargo test --profile checked -p tipring-fuzz --test replay -- $1"
    echo "  minimise: engine/fuzz/fuzz.sh minimise $1 <file>"
    echo "  then keep it as engine/fuzz/regressions/$1/<what> and write a regression_<what> beside the code"
    exit 1
}

[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
build build -Cllvm-args=-sanitizer-coverage-trace-compares
build worlds
case $1 in
smoke)
    for target in "${targets[@]}"; do
        scratch=$(mktemp -d)
        fuzz "$target" "${share[$target]}" "$scratch"
        rm -rf "$scratch"
    done
    ;;
hours)
    chosen=(${3:-${targets[@]}})
    seconds=$(awk -v hours="$2" -v count="${#chosen[@]}" 'BEGIN { printf "%d", hours * 3600 / count }')
    for target in "${chosen[@]}"; do
        fuzz "$target" "$seconds" "$target_dir/corpus/$target"
    done
    ;;
minimise)
    "$(binary "$2")" -minimize_crash=1 -max_total_time=60 -exact_artifact_path="$3.min" "$3"
    ;;
distil)
    fresh=$(mktemp -d)
    unpack "$2" "$target_dir/corpus/$2"
    # shellcheck disable=SC2046
    "$(binary "$2")" -set_cover_merge=1 -max_len="${kept[$2]}" "$fresh" "$target_dir/corpus/$2" $(seeds "$2")
    for input in "$fresh"/*; do od -An -v -tx1 "$input" | tr -d ' \n'; echo; done | sort >"$here/corpus/$2.hex"
    rm -rf "$fresh"
    ;;
*) echo "fuzz.sh: what is $1?" >&2; exit 2 ;;
esac
