#!/usr/bin/env bash
# tollway get against curl, on the same local files: one large file, many small requests in one
# process, one small request; then a page that costs money: its first payment, and a whole process with
# a token that is at hand.
#
#   bench/client.sh [--json] [--size MIB] [--requests N] [--runs N]
#
# Needs curl, nginx and Python 3 (Debian: apt-get install curl nginx-light python3). Everything listens on
# 127.0.0.1. BENCH_BIN=FOLDER takes the programs from there instead of building them. Times are seconds
# of wall and of CPU, the medians of the runs, which take turns; memory is the largest resident set in KiB.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=bench/common.sh
. bench/common.sh

json=no size=1024 requests=10000 runs=5
while [ $# -gt 0 ]; do
    case $1 in
        --json) json=yes ;;
        --size) size=$2; shift ;;
        --requests) requests=$2; shift ;;
        --runs) runs=$2; shift ;;
        *) unknown "$1" ;;
    esac
    shift
done
need "curl nginx python3" "curl nginx-light python3"
build -p tollway --bin tollway
tollway=$bin/tollway
export TOLLWAY_HOME=$work/home
unset http_proxy https_proxy ALL_PROXY all_proxy TOLLWAY_NODE TOLLWAY_WALLET

mkdir "$work/www" "$work/home"
head -c "$((size * 1024 * 1024))" /dev/zero > "$work/www/large"
printf 'small\n' > "$work/www/small"
port=$(free_port) upstream_port=$(free_port)
nginx_with "server { listen 127.0.0.1:$port; root $work/www; }
    $(upstream_server "$upstream_port")"
base=http://127.0.0.1:$port
for _ in $(seq 100); do curl -fs -o /dev/null "$base/small" && break; sleep 0.1; done

# Prints one line "wall cpu rss" for curl and one for tollway: the medians of runs that take turns.
# The two commands stand in files, one argument on a line.
compare() {
    python3 - "$1" "$work/curl.args" "$work/tollway.args" <<'PY'
import os, statistics, subprocess, sys, time
commands = [open(name).read().splitlines() for name in sys.argv[2:]]
taken = [[] for _ in commands]
for _ in range(int(sys.argv[1])):
    for command, times in zip(commands, taken):
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = child.stderr.read()
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"{command[:3]} failed: {said.decode()[-500:]}")
        times.append((wall, used.ru_utime + used.ru_stime, used.ru_maxrss))
for times in taken:
    print("%.4f %.4f %d" % tuple(statistics.median(column) for column in zip(*times)))
PY
}

results=()
row() { # name program wall cpu rss
    results+=("$(printf '{"case":"%s","program":"%s","wall_s":%s,"cpu_s":%s,"rss_kib":%s}' "$@")")
    [ "$json" = yes ] || printf '%-26s %-8s wall %8s s  cpu %8s s  rss %8s KiB\n' "$@"
}

case_of() { # name, runs; the commands are in the files
    local lines curl ours
    lines=$(compare "$2")
    read -r -a curl <<< "${lines%%$'\n'*}"
    read -r -a ours <<< "${lines##*$'\n'}"
    row "$1" curl "${curl[@]}"
    row "$1" tollway "${ours[@]}"
    [ "$json" = yes ] || printf '%-26s %-8s wall %8s    cpu %8s\n' "" ratio \
        "$(ratio "${ours[0]}" "${curl[0]}")" "$(ratio "${ours[1]}" "${curl[1]}")"
}
curl_args() { printf '%s\n' curl "$@" > "$work/curl.args"; }
tollway_args() { printf '%s\n' "$tollway" get "$@" > "$work/tollway.args"; }

curl_args -fs -o "$work/out.curl" "$base/large"
tollway_args -fs -o "$work/out" "$base/large"
case_of "file of $size MiB" "$runs"
cmp -s "$work/out" "$work/www/large" || { echo "the file did not arrive as it is" >&2; exit 1; }
rm -f "$work/out" "$work/out.curl"

for _ in $(seq "$requests"); do printf 'url = "%s/small"\noutput = "/dev/null"\n' "$base"; done > "$work/many"
curl_args -fs -K "$work/many"
tollway_args -fs -K "$work/many"
case_of "$requests small requests" "$runs"

curl_args -fs "$base/small"
tollway_args -fs "$base/small"
case_of "one small request" $((runs * 10))

start_devnet 2
configure gateway 127.0.0.1:0 "${remote[0]}" memory:
serve gateway
export TOLLWAY_NODE=${remote[1]}
paid_url=$gateway/paid/
# What the node itself took stands in the trace, between `paying` and `paid`.
first=$("$tollway" get -s --trace-time --trace-ascii "$work/trace" -o /dev/null -w '%{time_total}' "$paid_url")
paying=$(python3 - "$work/trace" <<'PY'
import re, sys
at = {}
for line in open(sys.argv[1]):
    found = re.match(r"(\d+):(\d+):([\d.]+) == (paying|paid):", line)
    if found:
        at[found[4]] = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
print("%.4f" % (at["paid"] - at["paying"]) if len(at) == 2 else sys.exit("nothing was paid"))
PY
)
row "first paid request" tollway "$first" 0 0
row "of it the node's payment" node "$paying" 0 0

key=$("$tollway" --format json tokens list | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["payment_hash"])')
line=$("$tollway" --format json tokens show "$key" --show-secrets | python3 -c 'import json,sys; print(json.load(sys.stdin)["authorization"])')
printf 'Authorization: %s\n' "$line" > "$work/credential"
curl_args -fs -o /dev/null -H "@$work/credential" "$paid_url"
tollway_args -fs -o /dev/null --no-pay "$paid_url"
case_of "with the token" $((runs * 10))

if [ "$json" = yes ]; then
    printf '[%s]\n' "$(IFS=,; echo "${results[*]}")"
fi
