#!/usr/bin/env bash
# Builds the lnd that the tests run against, from its Go module and with a fixed sum of every
# dependency, into a cache folder. Prints the binary's path; builds nothing when it is there already.
# With --if-built it never builds, and fails where there is none.
set -euo pipefail
cd "$(dirname "$0")/lnd"

tags="autopilotrpc chainrpc invoicesrpc peersrpc signrpc walletrpc watchtowerrpc kvdb_sqlite"
key=$( (cat go.mod go.sum; echo "$tags"; uname -sm) | sha256sum | cut -c1-16)
folder="${TOLLWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tollway}/lnd-$key"
if [ ! -x "$folder/lnd" ]; then
    [ "${1:-}" != --if-built ] || exit 1
    mkdir -p "$folder"
    made=$(mktemp "$folder/lnd.XXXXXX")
    trap 'rm -f "$made"' EXIT
    CGO_ENABLED=0 nice go build -mod=readonly -trimpath -tags "$tags" -ldflags "-s -w" \
        -o "$made" github.com/lightningnetwork/lnd/cmd/lnd >&2
    chmod 755 "$made"
    mv "$made" "$folder/lnd"
fi
echo "$folder/lnd"
