#!/usr/bin/env bash
# Builds the ACME server that the tests run against (pebble), from its Go module and with a fixed sum of
# every dependency, into a cache folder. Prints the binary's path; builds nothing when it is there already.
# With --if-built it never builds, and fails where there is none.
set -euo pipefail
cd "$(dirname "$0")/pebble"

key=$( (cat go.mod go.sum; uname -sm) | sha256sum | cut -c1-16)
folder="${TOLLWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tollway}/pebble-$key"
if [ ! -x "$folder/pebble" ]; then
    [ "${1:-}" != --if-built ] || exit 1
    mkdir -p "$folder"
    made=$(mktemp "$folder/pebble.XXXXXX")
    trap 'rm -f "$made"' EXIT
    CGO_ENABLED=0 nice go build -mod=readonly -trimpath -ldflags "-s -w" \
        -o "$made" github.com/letsencrypt/pebble/v2/cmd/pebble >&2
    chmod 755 "$made"
    mv "$made" "$folder/pebble"
fi
echo "$folder/pebble"
