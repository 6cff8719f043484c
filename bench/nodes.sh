#!/usr/bin/env bash
# Payments and invoices a second through each driver, against real nodes, beside the node's own API
# doing the same over a bare keep-alive connection: lnd (a pair on a chain of its own) and the embedded
# node. And bills (402) a second from a gateway that is paid on that lnd, beside lnd's own invoices.
#
#   bench/nodes.sh [--json] [--payments N] [--invoices N]
#
# lnd is built from its Go module where it is not built yet (tests/interop/lnd.sh; needs Go), or named by
# TOLLWAY_LND. Everything listens on 127.0.0.1. BENCH_BIN=FOLDER takes the programs from there instead of
# building them.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=bench/common.sh
. bench/common.sh

arguments=()
while [ $# -gt 0 ]; do
    case $1 in
        --json) arguments+=(--json) ;;
        --payments | --invoices) arguments+=("$1" "$2"); shift ;;
        *) unknown "$1" ;;
    esac
    shift
done
if [ -z "${TOLLWAY_LND:-}" ]; then
    TOLLWAY_LND=$(tests/interop/lnd.sh) || echo "no lnd: only the embedded node is measured" >&2
fi
build -p tollway --bin tollway
build -p tollway-nodes --example nodes
TOLLWAY_LND=$TOLLWAY_LND TOLLWAY_PROGRAM=$bin/tollway "$bin/examples/nodes" "${arguments[@]}"
