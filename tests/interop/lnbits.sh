#!/usr/bin/env bash
# Installs the LNbits that its driver is tested against, from the Python package index and with a fixed
# version of everything, into a cache folder. Prints the folder of its environment; installs nothing when
# it is there already. With --if-built it never installs, and fails where there is none: the tests say loudly
# that they are skipped then.
set -euo pipefail
cd "$(dirname "$0")/lnbits"

key=$( (cat requirements.txt; uname -sm; python3 --version) | sha256sum | cut -c1-16)
folder="${TOLLWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tollway}/lnbits-$key"
if [ ! -e "$folder/whole" ]; then
    [ "${1:-}" != --if-built ] || exit 1
    mkdir -p "$(dirname "$folder")"
    # Its scripts name their own folder, so it is made where it stays.
    rm -rf "$folder"
    python3 -m venv "$folder" >&2
    nice "$folder/bin/pip" install -q --no-deps --disable-pip-version-check -r requirements.txt >&2
    touch "$folder/whole"
fi
echo "$folder"
