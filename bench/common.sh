# What the scripts of this folder share. They source it with `work` and `pids` not set yet.

# Where the built programs are: BENCH_BIN, with nothing built, or what `cargo build` makes of the
# packages' arguments, one array for each call. With BENCH_PROFILE=dev it is a trial of the script, and
# its figures mean nothing.
profile=${BENCH_PROFILE:-release}
build() {
    [ -n "${BENCH_BIN:-}" ] || cargo build --profile "$profile" --quiet "$@"
}
if [ "$profile" = dev ]; then folder=debug; else folder=$profile; fi
bin=${BENCH_BIN:-${CARGO_TARGET_DIR:-$PWD/target}/$folder}

need() { # the tools a script calls, then Debian's packages that bring them
    local tool
    for tool in $1; do
        command -v "$tool" > /dev/null || { echo "$tool is missing: apt-get install $2" >&2; exit 2; }
    done
}

unknown() { echo "unknown argument $1; see the head of this file" >&2; exit 2; }

work=$(mktemp -d)
pids=()
cleanup() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits for the first line of a file that a command writes.
first_line() {
    local _
    for _ in $(seq 1200); do
        if [ -s "$1" ] && [ "$(wc -l < "$1")" -gt 0 ]; then head -n 1 "$1"; return; fi
        sleep 0.05
    done
    echo "nothing in $1 after a minute:" >&2; cat "$1" "$1.err" >&2; exit 1
}

median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; } # of the lines it reads
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b == 0) print "null"; else printf "%.3f", a / b }'; }

# User and system time of a process and its children that live, in clock ticks.
ticks() {
    local sum=0 pid
    for pid in "$1" $(pgrep -P "$1" || true); do
        sum=$((sum + $(awk '{ print $14 + $15 }' "/proc/$pid/stat" 2> /dev/null || echo 0)))
    done
    echo "$sum"
}
per_100k() { # ticks, requests: seconds of CPU for 100,000 requests
    awk -v t="$1" -v r="$2" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.3f\n", t / hz / r * 1e5 }'
}

# One run of wrk: "requests/s p50 p99 requests errors statuses".
load() { # connections, seconds, then wrk's own arguments
    wrk -t1 -c"$1" -d"$2"s --timeout 30s -s bench/wrk.lua "${@:3}" | grep ^RESULT | cut -d' ' -f2-
}

# Starts nginx with the servers that are given, as one that serves many connections for long.
nginx_with() {
    local user=''
    # Its workers must be able to read the folder, which is ours alone.
    [ "$(id -u)" != 0 ] || user='user root;'
    cat > "$work/nginx.conf" <<NGINX
$user daemon off;
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
    sendfile on;
    $1
}
NGINX
    nginx -c "$work/nginx.conf" & pids+=($!)
    nginx_pid=$!
}

# The upstream of the gateways: a body of 1 KiB, whatever is asked.
upstream_server() { # its port
    local body
    body=$(head -c 1024 /dev/zero | tr '\0' 'x')
    echo "server { listen 127.0.0.1:$1 backlog=4096; location / { default_type text/plain; return 200 \"$body\"; } }"
}

# A chain for gateways' own nodes (`chain`) and the URLs of nodes of another process (`remote`), which
# have a channel with each other.
start_devnet() { # how many nodes
    "$bin/tollway" devnet --nodes "$1" --format json > "$work/devnet" 2> "$work/devnet.err" & pids+=($!)
    local line
    line=$(first_line "$work/devnet")
    chain=$(sed 's/.*"bitcoind":"\([^"]*\)".*/\1/' <<< "$line")
    mapfile -t remote < <(python3 -c 'import json, sys
for node in json.load(sys.stdin)["nodes"]: print(node["url"])' <<< "$line")
}
own_node() { echo "ldk:$work/$1-node?network=regtest&bitcoind=$chain"; }

# A gateway's configuration with a service that costs nothing and one that is paid for.
configure() { # its name, its address, its node, its store
    cat > "$work/$1.toml" <<TOML
listen = "$2"
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
    TOLLWAY_LOG=warn "$bin/tollway" serve --config "$work/$1.toml" --format json > "$work/$1" 2> "$work/$1.err" & pids+=($!)
    gateway_pid=$!
    gateway=$(first_line "$work/$1" | sed 's/.*"listen":"\([^"]*\)".*/\1/')
}

# A credential that the gateways of this run take as paid for, for a day.
credential() {
    "$bin/examples/credential" "$work/gateway.key" services=paid:0 \
        "paid_valid_until=$(($(date +%s) + 86400))" paid_capabilities=
}
