#!/usr/bin/env bash
# Gives every fuzz target, or those named, to libFuzzer for so many seconds:
#
#     fuzz/run.sh SECONDS [target…]
#
# fuzz/corpus (made of the vectors) and fuzz/regressions (inputs that broke a law once) are read and
# never written; what is found on the way is kept in fuzz/target/found, and an input that breaks a law
# in fuzz/artifacts. Without a nightly toolchain the same inputs go through the same targets as
# ordinary tests.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:?usage: fuzz/run.sh SECONDS [target…]}
shift
if [ $# -gt 0 ]; then targets=("$@"); else mapfile -t targets < <(cd fuzz_targets && ls | sed 's/\.rs$//'); fi

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "fuzz/run.sh: no nightly toolchain; the corpus goes through the ordinary tests instead"
    exec cargo test --manifest-path ../Cargo.toml --locked -p l402 --test it -- fuzz::
fi

# What cargo-fuzz would pass, without its sanitizers: there is no unsafe code here to watch. With
# `--target`, build scripts and macros are not instrumented.
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
coverage=(
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    -Ccodegen-units=1
)
bins=()
for target in "${targets[@]}"; do bins+=(--bin "$target"); done
# One target folder in this one: the ordinary build's flags are others, and its cache should stay.
RUSTFLAGS="${coverage[*]}" CARGO_TARGET_DIR=target \
    cargo +nightly build --release --target "$host" "${bins[@]}"

broken=()
for target in "${targets[@]}"; do
    found=target/found/$target log=target/found/$target.log inputs=("corpus/$target")
    if [ -d "regressions/$target" ]; then inputs+=("regressions/$target"); fi
    mkdir -p "$found" artifacts
    # -timeout is per input: one that takes seconds is a defect too.
    if RUST_BACKTRACE=0 "target/$host/release/$target" \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="artifacts/$target-" \
        "$found" "${inputs[@]}" >"$log" 2>&1; then
        printf '%-14s %s\n' "$target" "$(grep '^Done' "$log")"
    else
        printf '%-14s BROKEN\n' "$target"
        grep -vP '^(#|INFO|\t|stat::|0x)' "$log" | tail -20
        broken+=("$target")
    fi
done
if [ ${#broken[@]} -gt 0 ]; then
    echo "fuzz/run.sh: broken: ${broken[*]}; the inputs are in fuzz/artifacts" >&2
    exit 1
fi
