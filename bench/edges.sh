#!/usr/bin/env bash
# The edges of the gateway: what an idle connection costs, how soon it answers after its start, what a
# new configuration every second does to those who wait, and whether a million sold tokens make the next
# request dearer.
#
#   bench/edges.sh [--json] [--rounds N] [--seconds N] [--idle N] [--connections N] [--tokens N]
#
# Needs wrk, nginx and Python 3 (Debian: apt-get install wrk nginx-light python3). Everything listens on
# 127.0.0.1. BENCH_BIN=FOLDER takes the programs from there instead of building them.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=bench/common.sh
. bench/common.sh

json=no rounds=5 seconds=5 idle=5000 connections=1000 tokens=1000000 few=1000
while [ $# -gt 0 ]; do
    case $1 in
        --json) json=yes ;;
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --idle) idle=$2; shift ;;
        --connections) connections=$2; shift ;;
        --tokens) tokens=$2; shift ;;
        *) unknown "$1" ;;
    esac
    shift
done
need "wrk nginx python3 curl" "wrk nginx-light python3 curl"
# Each connection is two here: the client's end and the gateway's.
ulimit -n "$(ulimit -Hn)"
build -p tollway --bin tollway
build -p tollway-gateway --example credential

rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }

upstream_port=$(free_port)
nginx_with "$(upstream_server "$upstream_port")"
export TOLLWAY_HOME=$work/home
start_devnet 1

# --- what an idle connection costs
configure idle 127.0.0.1:0 "${remote[0]}" memory:
serve idle
idle_pid=$gateway_pid
# What is needed for any connection at all is there after the first few.
load 4 1 "$gateway/off/" > /dev/null
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
configure start "127.0.0.1:$port" "${remote[0]}" memory:
for _ in $(seq "$rounds"); do
    TOLLWAY_LOG=warn python3 bench/edges.py start "$port" "$bin/tollway" serve --config "$work/start.toml" >> "$work/start.rounds"
done
start_ms=$(median < "$work/start.rounds")
echo "start: done" >&2

# --- a new configuration every second
configure reload 127.0.0.1:0 "$(own_node reload)" memory:
serve reload
reload_pid=$gateway_pid
paid=(-H "Authorization: $(credential)")
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
p99_quiet=$(median < "$work/quiet.rounds") p99_reload=$(median < "$work/reload.rounds")
echo "reloads: done" >&2

# --- the millionth token
# Two gateways with files of their own, one of which has asked for money much more often.
for name in few many; do
    configure "$name" 127.0.0.1:0 "$(own_node "$name")" "sqlite:$work/$name.db"
    serve "$name"
    declare "pid_$name=$gateway_pid" "url_$name=$gateway/paid/"
    issued=0
    if [ "$name" = few ]; then
        # Few are asked for one by one, so that they stay few.
        curl -s -o /dev/null "$gateway/paid/?[1-$few]"; issued=$few
    else
        while [ "$issued" -lt "$tokens" ]; do
            set -- $(load 32 5 "$gateway/paid/"); issued=$((issued + $4))
        done
    fi
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
        per_100k $((after - before)) "$4" >> "$work/$name.rounds"
    done
done
cpu_few=$(median < "$work/few.rounds") cpu_many=$(median < "$work/many.rounds")
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
