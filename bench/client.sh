#!/usr/bin/env bash
# tollway get against curl, on the same local files: one large file, many small requests in one
# process, a whole process with a token that is at hand, and a first payment.
#
#   bench/client.sh [--json] [--tollway PATH] [--size MIB] [--requests N] [--runs N]
#                   [--paid-url URL --node NODE]
#
# Needs curl, and python3 or nginx for the free part. The paid part needs a URL that asks for payment
# (`tollway demo` and `tollway devnet` show how to have one on this machine) and a node that pays.
# Times are seconds of wall and of CPU, the best of the runs; memory is the largest resident set in KiB.
set -euo pipefail

json=false tollway=target/release/tollway size=1024 requests=10000 runs=3 paid_url='' node=''
while [ $# -gt 0 ]; do
    case $1 in
        --json) json=true ;;
        --tollway) tollway=$2; shift ;;
        --size) size=$2; shift ;;
        --requests) requests=$2; shift ;;
        --runs) runs=$2; shift ;;
        --paid-url) paid_url=$2; shift ;;
        --node) node=$2; shift ;;
        *) echo "unknown: $1; see the head of this file" >&2; exit 2 ;;
    esac
    shift
done
[ -x "$tollway" ] || { echo "no program at $tollway: cargo build --release, or give --tollway PATH" >&2; exit 2; }
[ -z "$paid_url" ] || [ -n "$node" ] || { echo "--paid-url needs --node" >&2; exit 2; }
tollway=$(realpath "$tollway")

work=$(mktemp -d)
server=
clean() { [ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"; }
trap clean EXIT
mkdir "$work/www" "$work/home"
export TOLLWAY_HOME=$work/home
unset http_proxy https_proxy ALL_PROXY all_proxy TOLLWAY_NODE TOLLWAY_WALLET

head -c "$((size * 1024 * 1024))" /dev/zero > "$work/www/large"
printf 'small\n' > "$work/www/small"

# A server on a free port: nginx where there is one, because it is not what is measured.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
if command -v nginx > /dev/null; then
    # Its workers must be able to read the folder, which is ours alone.
    [ "$(id -u)" = 0 ] && user='user root;' || user=''
    cat > "$work/nginx.conf" <<CONF
$user daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/nginx.log;
events { worker_connections 512; }
http { access_log off; sendfile on; keepalive_requests 1000000; client_body_temp_path $work/t1;
  proxy_temp_path $work/t2; fastcgi_temp_path $work/t3; uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
  server { listen 127.0.0.1:$port; root $work/www; } }
CONF
    nginx -c "$work/nginx.conf" -p "$work" &
else
    (cd "$work/www" && exec python3 -c "
import http.server as h
class H(h.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *a): pass
h.ThreadingHTTPServer(('127.0.0.1', $port), H).serve_forever()") &
fi
server=$!
base=http://127.0.0.1:$port
for _ in $(seq 100); do curl -fs -o /dev/null "$base/small" && break; sleep 0.1; done

# Prints "wall cpu rss" of a command, the best wall of the runs. Python's own resource use of its
# children is what `time -v` would say, on every system.
measure() {
    python3 - "$runs" "$@" <<'PY'
import os, subprocess, sys, time
best = None
for _ in range(int(sys.argv[1])):
    start = time.perf_counter()
    child = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{sys.argv[2:4]} failed: {said.decode()[-500:]}")
    one = (wall, used.ru_utime + used.ru_stime, used.ru_maxrss)
    best = min(best or one, one)
print("%.4f %.4f %d" % best)
PY
}

results=()
row() { # name program wall cpu rss
    results+=("$(printf '{"case":"%s","program":"%s","wall_s":%s,"cpu_s":%s,"rss_kib":%s}' "$1" "$2" "$3" "$4" "$5")")
    $json || printf '%-28s %-8s wall %8s s  cpu %8s s  rss %8s KiB\n' "$1" "$2" "$3" "$4" "$5"
}

read -r w c m <<< "$(measure curl -fs -o "$work/out" "$base/large")"; row "file of $size MiB" curl "$w" "$c" "$m"
read -r w c m <<< "$(measure "$tollway" get -fs -o "$work/out" "$base/large")"; row "file of $size MiB" tollway "$w" "$c" "$m"
cmp -s "$work/out" "$work/www/large" || { echo "the file did not arrive as it is" >&2; exit 1; }

for _ in $(seq "$requests"); do printf 'url = "%s/small"\noutput = "/dev/null"\n' "$base"; done > "$work/many"
read -r w c m <<< "$(measure curl -fs -K "$work/many")"; row "$requests small requests" curl "$w" "$c" "$m"
read -r w c m <<< "$(measure "$tollway" get -fs -K "$work/many")"; row "$requests small requests" tollway "$w" "$c" "$m"

read -r w c m <<< "$(measure curl -fs "$base/small")"; row "one small request" curl "$w" "$c" "$m"
read -r w c m <<< "$(measure "$tollway" get -fs "$base/small")"; row "one small request" tollway "$w" "$c" "$m"

if [ -n "$paid_url" ]; then
    # What the node itself took stands in the trace, between `paying` and `paid`.
    first=$("$tollway" get -s --trace-time --trace-ascii "$work/trace" -o /dev/null \
        -w '%{time_total}' --node "$node" "$paid_url")
    paying=$(python3 - "$work/trace" <<'PY'
import re, sys
at = {}
for line in open(sys.argv[1]):
    found = re.match(r"(\d+):(\d+):([\d.]+) == (paying|paid):", line)
    if found:
        at[found[4]] = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
print("%.4f" % (at["paid"] - at["paying"]) if len(at) == 2 else sys.exit("nothing was paid: is the wallet new?"))
PY
)
    row "first paid request" tollway "$first" 0 0
    row "of it the node's payment" node "$paying" 0 0
    read -r w c m <<< "$(measure curl -s -o /dev/null "$paid_url")"; row "its 402 alone" curl "$w" "$c" "$m"
    read -r w c m <<< "$(measure "$tollway" get -s -o /dev/null --no-pay "$paid_url")"; row "with the token" tollway "$w" "$c" "$m"
    key=$("$tollway" --format json tokens list | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["payment_hash"])')
    line=$("$tollway" --format json tokens show "$key" --show-secrets | python3 -c 'import json,sys; print(json.load(sys.stdin)["authorization"])')
    printf 'Authorization: %s\n' "$line" > "$work/credential"
    read -r w c m <<< "$(measure curl -fs -o /dev/null -H "@$work/credential" "$paid_url")"; row "with the token" curl "$w" "$c" "$m"
fi

if $json; then
    printf '[%s]\n' "$(IFS=,; echo "${results[*]}")"
fi
