#!/usr/bin/env bash
# Load on the gateway, beside yardsticks, in one run: each is measured in turn, round after round, and
# the medians are printed with their ratios.
#
#   bench/load.sh [--json] [--rounds N] [--seconds N] [--connections N]
#
# Needs wrk and nginx (Debian: apt-get install wrk nginx-light). Everything listens on 127.0.0.1.
# BENCH_BIN=FOLDER takes the programs from there instead of building them.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=bench/common.sh
. bench/common.sh

json=no rounds=5 seconds=5 connections=32
while [ $# -gt 0 ]; do
    case $1 in
        --json) json=yes ;;
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --connections) connections=$2; shift ;;
        *) unknown "$1" ;;
    esac
    shift
done
need "wrk nginx python3" "wrk nginx-light python3"
build -p tollway --bin tollway
build -p tollway-gateway --example bare --example credential

# Another server of the same nginx passes the upstream on: the yardstick of reverse proxies.
upstream_port=$(free_port) nginx_port=$(free_port)
nginx_with "upstream up { server 127.0.0.1:$upstream_port; keepalive 256; keepalive_requests 1000000000; }
    $(upstream_server "$upstream_port")
    server { listen 127.0.0.1:$nginx_port;
        location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection \"\"; } }"

"$bin/examples/bare" 127.0.0.1:0 "127.0.0.1:$upstream_port" > "$work/bare" & pids+=($!)
bare_pid=$! bare=$(first_line "$work/bare")

export TOLLWAY_HOME=$work/home
start_devnet 1
configure gateway 127.0.0.1:0 "$(own_node gateway)" "sqlite:$work/gateway.db"
serve gateway
credential=$(credential)

names=(upstream nginx bare off paid challenge)
url_upstream=http://127.0.0.1:$upstream_port/ url_nginx=http://127.0.0.1:$nginx_port/ url_bare=$bare/
url_off=$gateway/off/ url_paid=$gateway/paid/ url_challenge=$gateway/paid/

measure() {
    local name=$1 url pid before after
    url=url_$name
    case $name in
        upstream | nginx) pid=$nginx_pid ;;
        bare) pid=$bare_pid ;;
        *) pid=$gateway_pid ;;
    esac
    # Every one is sent the same request, so that what differs is what is done with it.
    local header=(-H "Authorization: $credential")
    if [ "$name" = challenge ]; then header=(); fi
    before=$(ticks "$pid")
    set -- $(load "$connections" "$seconds" "${header[@]}" "${!url}")
    after=$(ticks "$pid")
    # A challenge is a 402 and nothing else.
    local errors=$(($5 + $6))
    if [ "$name" = challenge ]; then errors=$(($5 + $4 - $6)); fi
    echo "$1 $2 $3 $errors $(per_100k $((after - before)) "$4")" >> "$work/$name.rounds"
}

for name in "${names[@]}"; do
    url=url_$name
    load "$connections" 1 "${!url}" > /dev/null
done
for round in $(seq "$rounds"); do
    for name in "${names[@]}"; do measure "$name"; done
    echo "round $round of $rounds" >&2
done

column() { awk -v c="$2" '{ print $c }' "$work/$1.rounds" | median; } # of one yardstick's rounds
errors() { awk '{ s += $4 } END { print s }' "$work/$1.rounds"; }

if [ "$json" = yes ]; then
    separator=
    printf '{'
    for name in "${names[@]}"; do
        printf '%s"%s":{"rps":%s,"cpu_s_per_100k":%s,"p50_ms":%s,"p99_ms":%s,"errors":%s}' "$separator" "$name" \
            "$(column "$name" 1)" "$(column "$name" 5)" "$(column "$name" 2)" "$(column "$name" 3)" "$(errors "$name")"
        separator=,
    done
    printf '}\n'
else
    printf '%-10s %10s %16s %9s %9s %7s\n' "" requests/s "CPU s per 100k" "p50 ms" "p99 ms" errors
    for name in "${names[@]}"; do
        printf '%-10s %10s %16s %9s %9s %7s\n' "$name" "$(column "$name" 1)" "$(column "$name" 5)" \
            "$(column "$name" 2)" "$(column "$name" 3)" "$(errors "$name")"
    done
    paid=$(column paid 1)
    printf 'paid / off %s   paid / bare %s (CPU %s)   paid / nginx %s\n' \
        "$(ratio "$paid" "$(column off 1)")" "$(ratio "$paid" "$(column bare 1)")" \
        "$(ratio "$(column paid 5)" "$(column bare 5)")" "$(ratio "$paid" "$(column nginx 1)")"
    echo "$rounds rounds of $seconds s, $connections connections; nginx's CPU includes the upstream's"
fi
