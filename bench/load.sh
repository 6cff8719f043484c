#!/usr/bin/env bash
# Load on the gateway, beside yardsticks, in one run: each is measured in turn, round after round, and
# the medians are printed with their ratios.
#
#   bench/load.sh [--json] [--rounds N] [--seconds N] [--connections N]
#
# Needs wrk and nginx (Debian: apt-get install wrk nginx-light). Everything listens on 127.0.0.1.
set -euo pipefail
cd "$(dirname "$0")/.."

json=no rounds=5 seconds=5 connections=32
while [ $# -gt 0 ]; do
    case $1 in
        --json) json=yes ;;
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --connections) connections=$2; shift ;;
        *) echo "unknown argument $1; see the head of this file" >&2; exit 2 ;;
    esac
    shift
done
for tool in wrk nginx; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install wrk nginx-light" >&2; exit 2; }
done

cargo build --release --quiet -p tollway --bin tollway
cargo build --release --quiet -p tollway-gateway --example bare --example credential
bin=${CARGO_TARGET_DIR:-$PWD/target}/release
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
    for _ in $(seq 200); do
        if [ -s "$1" ] && [ "$(wc -l < "$1")" -gt 0 ]; then head -n 1 "$1"; return; fi
        sleep 0.05
    done
    echo "nothing in $1 after ten seconds:" >&2; cat "$1" "$1.err" >&2; exit 1
}

# The upstream is nginx with a body of 1 KiB; another server of the same process passes it on.
upstream_port=$(free_port) nginx_port=$(free_port)
body=$(head -c 1024 /dev/zero | tr '\0' 'x')
cat > "$work/nginx.conf" <<NGINX
worker_processes auto;
pid $work/nginx.pid;
error_log $work/nginx.err;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path $work; proxy_temp_path $work; fastcgi_temp_path $work;
    uwsgi_temp_path $work; scgi_temp_path $work;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    upstream up { server 127.0.0.1:$upstream_port; keepalive 256; keepalive_requests 1000000000; }
    server { listen 127.0.0.1:$upstream_port; location / { default_type text/plain; return 200 "$body"; } }
    server { listen 127.0.0.1:$nginx_port;
        location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
NGINX
nginx -c "$work/nginx.conf" -g 'daemon off;' & pids+=($!)
nginx_pid=$!

"$bin/examples/bare" 127.0.0.1:0 "127.0.0.1:$upstream_port" > "$work/bare" & pids+=($!)
bare_pid=$! bare=$(first_line "$work/bare")

# A chain for the gateway's own node, which signs the invoices.
export TOLLWAY_HOME=$work/home
"$bin/tollway" devnet --nodes 1 --format json > "$work/devnet" 2> "$work/devnet.err" & pids+=($!)
chain=$(first_line "$work/devnet" | sed 's/.*"bitcoind":"\([^"]*\)".*/\1/')
cat > "$work/gateway.toml" <<TOML
listen = "127.0.0.1:0"
node = "ldk:$work/seller?network=regtest&bitcoind=$chain"
secret = "file:$work/gateway.key"
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
TOLLWAY_LOG=warn "$bin/tollway" serve --config "$work/gateway.toml" --format json > "$work/serve" 2> "$work/serve.err" & pids+=($!)
gateway_pid=$! gateway=$(first_line "$work/serve" | sed 's/.*"listen":"\([^"]*\)".*/\1/')
until=$(($(date +%s) + 86400))
credential=$("$bin/examples/credential" "$work/gateway.key" services=paid:0 "paid_valid_until=$until" paid_capabilities=)

names=(upstream nginx bare off paid challenge)
url_upstream=http://127.0.0.1:$upstream_port/ url_nginx=http://127.0.0.1:$nginx_port/ url_bare=$bare/
url_off=$gateway/off/ url_paid=$gateway/paid/ url_challenge=$gateway/paid/

# User and system time of a process and its children that live, in clock ticks.
ticks() {
    local sum=0 pid
    for pid in "$1" $(pgrep -P "$1" || true); do
        sum=$((sum + $(awk '{ print $14 + $15 }' "/proc/$pid/stat" 2>/dev/null || echo 0)))
    done
    echo "$sum"
}

measure() {
    local name=$1 url pid before after line
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
    line=$(wrk -t1 -c"$connections" -d"$seconds"s -s bench/wrk.lua "${header[@]}" "${!url}" | grep ^RESULT)
    after=$(ticks "$pid")
    # rps p50 p99 requests errors statuses; a challenge is a 402 and nothing else.
    set -- $line
    local errors=$(($6 + $7))
    if [ "$name" = challenge ]; then errors=$(($6 + $5 - $7)); fi
    echo "$2 $3 $4 $errors $(awk -v t=$((after - before)) -v r="$5" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.3f", t / hz / r * 1e5 }')" >> "$work/$name.rounds"
}

for name in "${names[@]}"; do
    url=url_$name
    wrk -t1 -c"$connections" -d1s "${!url}" > /dev/null
done
for round in $(seq "$rounds"); do
    for name in "${names[@]}"; do measure "$name"; done
    echo "round $round of $rounds" >&2
done

# The median of one column of one yardstick's rounds.
median() {
    awk -v c="$2" '{ print $c }' "$work/$1.rounds" | sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'
}
errors() { awk '{ s += $4 } END { print s }' "$work/$1.rounds"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'; }

if [ "$json" = yes ]; then
    separator=
    printf '{'
    for name in "${names[@]}"; do
        printf '%s"%s":{"rps":%s,"cpu_s_per_100k":%s,"p50_ms":%s,"p99_ms":%s,"errors":%s}' "$separator" "$name" \
            "$(median "$name" 1)" "$(median "$name" 5)" "$(median "$name" 2)" "$(median "$name" 3)" "$(errors "$name")"
        separator=,
    done
    printf '}\n'
else
    printf '%-10s %10s %16s %9s %9s %7s\n' "" requests/s "CPU s per 100k" "p50 ms" "p99 ms" errors
    for name in "${names[@]}"; do
        printf '%-10s %10s %16s %9s %9s %7s\n' "$name" "$(median "$name" 1)" "$(median "$name" 5)" \
            "$(median "$name" 2)" "$(median "$name" 3)" "$(errors "$name")"
    done
    paid=$(median paid 1)
    printf 'paid / off %s   paid / bare %s (CPU %s)   paid / nginx %s\n' \
        "$(ratio "$paid" "$(median off 1)")" "$(ratio "$paid" "$(median bare 1)")" \
        "$(ratio "$(median paid 5)" "$(median bare 5)")" "$(ratio "$paid" "$(median nginx 1)")"
    echo "$rounds rounds of $seconds s, $connections connections; nginx's CPU includes the upstream's"
fi
