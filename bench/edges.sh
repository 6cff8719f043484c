#!/usr/bin/env bash
# The edges of the gateway: what an idle connection costs, how soon it answers after its start, what a
# new configuration every second does to those who wait, and whether a million sold tokens make the next
# request dearer.
#
#   bench/edges.sh [--json] [--rounds N] [--seconds N] [--idle N] [--connections N] [--tokens N]
#
# Needs wrk, nginx and Python 3 (Debian: apt-get install wrk nginx-light python3). Everything listens on
# 127.0.0.1. With BENCH_PROFILE=dev it is a trial of this script, and its figures mean nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

json=no rounds=5 seconds=5 idle=5000 connections=1000 tokens=1000000 few=1000
while [ $# -gt 0 ]; do
    case $1 in
        --json) json=yes ;;
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --idle) idle=$2; shift ;;
        --connections) connections=$2; shift ;;
        --tokens) tokens=$2; shift ;;
        *) echo "unknown argument $1; see the head of this file" >&2; exit 2 ;;
    esac
    shift
done
for tool in wrk nginx python3; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install wrk nginx-light python3" >&2; exit 2; }
done
# Each connection is two here: the client's end and the gateway's.
ulimit -n "$(ulimit -Hn)"

profile=${BENCH_PROFILE:-release}
folder=$profile
[ "$profile" != dev ] || folder=debug
cargo build --profile "$profile" --quiet -p tollway --bin tollway
cargo build --profile "$profile" --quiet -p tollway-gateway --example credential
bin=${CARGO_TARGET_DIR:-$PWD/target}/$folder
work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits for the first line of a file that a command writes.
first_line() {
    for _ in $(seq 1200); do
        if [ -s "$1" ] && [ "$(wc -l < "$1")" -gt 0 ]; then head -n 1 "$1"; return; fi
        sleep 0.05
    done
    echo "nothing in $1 after a minute:" >&2; cat "$1" "$1.err" >&2; exit 1
}

median() { sort -n "$1" | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b == 0) print "null"; else printf "%.3f", a / b }'; }
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }

upstream_port=$(free_port)
body=$(head -c 1024 /dev/zero | tr '\0' 'x')
cat > "$work/nginx.conf" <<NGINX
worker_processes auto;
pid $work/nginx.pid;
error_log $work/nginx.err;
events { worker_connections 8192; }
http {
    access_log off;
    client_body_temp_path $work; proxy_temp_path $work; fastcgi_temp_path $work;
    uwsgi_temp_path $work; scgi_temp_path $work;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    server { listen 127.0.0.1:$upstream_port backlog=4096; location / { default_type text/plain; return 200 "$body"; } }
}
NGINX
nginx -c "$work/nginx.conf" -g 'daemon off;' & pids+=($!)

# A chain for a gateway's own node, which signs the invoices, and a node that another process has.
export TOLLWAY_HOME=$work/home TOLLWAY_LOG=warn
"$bin/tollway" devnet --nodes 1 --format json > "$work/devnet" 2> "$work/devnet.err" & pids+=($!)
devnet=$(first_line "$work/devnet")
chain=$(sed 's/.*"bitcoind":"\([^"]*\)".*/\1/' <<< "$devnet")
remote=$(sed 's/.*"nodes":\[{[^}]*"url":"\([^"]*\)".*/\1/' <<< "$devnet")

# A gateway's configuration: its name, where it listens, its node and its store.
configure() {
    cat > "$work/$1.toml" <<TOML
listen = "127.0.0.1:$2"
node = "$3"
secret = "file:$work/gateway.key"
store = "$4"
header_timeout = "10m"
unpaid_per_ip = "off"
unpaid_total = "off"
[[service]]
name = "off"
path = "/off"
upstream = "http://127.0.0.1:$upstream_port"
auth = "off"
[[service]]
name = "paid"
path = "/paid"
upstream = "http://127.0.0.1:$upstream_port"
price = "10 sat"
valid_for = "24h"
TOML
}

# Starts a gateway; its process is $gateway_pid and its address $gateway.
serve() {
    "$bin/tollway" serve --config "$work/$1.toml" --format json > "$work/$1" 2> "$work/$1.err" & pids+=($!)
    gateway_pid=$!
    gateway=$(first_line "$work/$1" | sed 's/.*"listen":"\([^"]*\)".*/\1/')
}

own() { echo "ldk:$work/$1-node?network=regtest&bitcoind=$chain"; }

# --- what an idle connection costs
configure idle 0 "$remote" memory:
serve idle
idle_pid=$gateway_pid
# What is needed for any connection at all is there after the first few.
wrk -t1 -c4 -d1s "$gateway/off/" > /dev/null
rss_before=$(rss "$idle_pid")
mkfifo "$work/end"
exec 9<> "$work/end"
python3 bench/edges.py connections 127.0.0.1 "${gateway##*:}" "$idle" < "$work/end" > "$work/idle.open" & pids+=($!)
first_line "$work/idle.open" > /dev/null
rss_after=$(rss "$idle_pid")
echo end >&9
exec 9>&-
kill "$idle_pid"; wait "$idle_pid" || true
per_connection=$(awk -v a="$rss_after" -v b="$rss_before" -v n="$idle" 'BEGIN { printf "%.2f", (a - b) / n }')
echo "idle connections: done" >&2

# --- from its start to its first answer
port=$(free_port)
configure start "$port" "$remote" memory:
for _ in $(seq "$rounds"); do
    python3 bench/edges.py start "$port" "$bin/tollway" serve --config "$work/start.toml" >> "$work/start.rounds"
done
start_ms=$(median "$work/start.rounds")
echo "start: done" >&2

# One run of wrk: "requests/s p50 p99 requests errors statuses".
load() {
    wrk -t1 -c"$1" -d"$2"s --timeout 30s -s bench/wrk.lua "${@:3}" | grep ^RESULT | cut -d' ' -f2-
}
until=$(($(date +%s) + 86400))
configure reload 0 "$(own reload)" memory:
serve reload
reload_pid=$gateway_pid
credential=$("$bin/examples/credential" "$work/gateway.key" services=paid:0 "paid_valid_until=$until" paid_capabilities=)
paid=(-H "Authorization: $credential")

# --- a new configuration every second
load "$connections" 1 "${paid[@]}" "$gateway/paid/" > /dev/null
reloads=0 reload_errors=0
for _ in $(seq "$rounds"); do
    set -- $(load "$connections" "$seconds" "${paid[@]}" "$gateway/paid/")
    echo "$3" >> "$work/quiet.rounds"; reload_errors=$((reload_errors + $5 + $6))
    load "$connections" "$seconds" "${paid[@]}" "$gateway/paid/" > "$work/reloading" & wrk_pid=$!
    while kill -0 "$wrk_pid" 2> /dev/null; do
        reloads=$((reloads + 1))
        # Written whole, as an editor does; nothing but a comment is new in it.
        { cat "$work/reload.toml"; echo "# $reloads"; } > "$work/reload.new"
        mv "$work/reload.new" "$work/reload.toml"
        kill -HUP "$reload_pid"
        sleep 1
    done
    wait "$wrk_pid"
    set -- $(cat "$work/reloading")
    echo "$3" >> "$work/reload.rounds"; reload_errors=$((reload_errors + $5 + $6))
done
kill "$reload_pid"; wait "$reload_pid" || true
p99_quiet=$(median "$work/quiet.rounds") p99_reload=$(median "$work/reload.rounds")
echo "reloads: done" >&2

# --- the millionth token
# Two gateways with files of their own, one of which has asked for money much more often.
for name in few many; do
    configure "$name" 0 "$(own "$name")" "sqlite:$work/$name.db"
    serve "$name"
    declare "pid_$name=$gateway_pid" "url_$name=$gateway/paid/"
    wanted=${few}; [ "$name" = few ] || wanted=$tokens
    issued=0
    while [ "$issued" -lt "$wanted" ]; do
        # Few are asked for one by one, so that they stay few.
        if [ "$name" = few ]; then
            curl -s -o /dev/null "$gateway/paid/?[1-$wanted]"; issued=$wanted
        else
            set -- $(load 32 5 "$gateway/paid/"); issued=$((issued + $4))
        fi
    done
    declare "issued_$name=$issued"
done
# What is written behind the requests' backs is written.
sleep 5
for _ in $(seq "$rounds"); do
    for name in few many; do
        pid=pid_$name url=url_$name
        before=$(ticks "${!pid}")
        set -- $(load 32 "$seconds" "${paid[@]}" "${!url}")
        after=$(ticks "${!pid}")
        [ $(($5 + $6)) = 0 ] || { echo "$5 errors and $6 bad statuses from $name" >&2; exit 1; }
        awk -v t=$((after - before)) -v r="$4" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.3f\n", t / hz / r * 1e5 }' >> "$work/$name.rounds"
    done
done
cpu_few=$(median "$work/few.rounds") cpu_many=$(median "$work/many.rounds")

if [ "$json" = yes ]; then
    printf '{"idle":{"connections":%s,"rss_before_kib":%s,"rss_after_kib":%s,"kib_per_connection":%s},' \
        "$idle" "$rss_before" "$rss_after" "$per_connection"
    printf '"start":{"first_answer_ms":%s},' "$start_ms"
    printf '"reload":{"connections":%s,"reloads":%s,"p99_ms":%s,"p99_quiet_ms":%s,"ratio":%s,"errors":%s},' \
        "$connections" "$reloads" "$p99_reload" "$p99_quiet" "$(ratio "$p99_reload" "$p99_quiet")" "$reload_errors"
    printf '"tokens":{"few":%s,"many":%s,"cpu_s_per_100k_few":%s,"cpu_s_per_100k_many":%s,"ratio":%s}}\n' \
        "$issued_few" "$issued_many" "$cpu_few" "$cpu_many" "$(ratio "$cpu_many" "$cpu_few")"
else
    echo "an idle connection          $per_connection KiB ($idle of them: $rss_before to $rss_after KiB)"
    echo "start to the first answer   $start_ms ms"
    echo "p99, $connections connections      $p99_quiet ms; with a new configuration every second $p99_reload ms, x $(ratio "$p99_reload" "$p99_quiet"); $reload_errors errors in $reloads reloads"
    echo "CPU s per 100k paid         $cpu_few after $issued_few bills, $cpu_many after $issued_many, x $(ratio "$cpu_many" "$cpu_few")"
    echo "$rounds rounds of $seconds s"
fi
