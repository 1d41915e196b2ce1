#!/usr/bin/env bash
# The main job on demo logs: made in SQLite, evaluated, printed, pushed to a real Pushgateway, which is started here
# unless EVALJOB_PUSHGATEWAY_URL names one that runs already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PWD/.venv/bin:$PATH
export no_proxy="127.0.0.1,localhost${no_proxy:+,$no_proxy}" # a proxy cannot reach this machine's loopback

fetch() { python -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())' "$1"; }

free_port() {
    python - "$@" <<'PYTHON'
import socket, sys

for port in (*map(int, sys.argv[1:]), 0):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(s.getsockname()[1])
        break
PYTHON
}

stop_pushgateway() {
    kill "$gateway" 2>/dev/null || true
    wait "$gateway" 2>/dev/null || true
}

start_pushgateway() {
    scripts/servers.sh pushgateway
    local program port
    program=$(command -v prometheus-pushgateway || command -v pushgateway)
    port=$(free_port 9091)
    "$program" --web.listen-address="127.0.0.1:$port" --persistence.file= >.demo/pushgateway.log 2>&1 &
    gateway=$!
    trap stop_pushgateway EXIT
    export EVALJOB_PUSHGATEWAY_URL=http://127.0.0.1:$port
    wait_for_pushgateway
}

wait_for_pushgateway() {
    for _ in {1..100}; do
        if fetch "$EVALJOB_PUSHGATEWAY_URL/-/ready" >/dev/null 2>&1; then return; fi
        kill -0 "$gateway" 2>/dev/null || break
        sleep 0.1
    done
    echo "The Pushgateway did not start:" >&2
    cat .demo/pushgateway.log >&2
    exit 1
}

mkdir -p .demo
gateway=
if [[ -z ${EVALJOB_PUSHGATEWAY_URL:-} ]]; then
    start_pushgateway
elif ! fetch "$EVALJOB_PUSHGATEWAY_URL/-/ready" >/dev/null 2>&1; then
    # Without the value: a URL may carry a password.
    echo "No Pushgateway answers at the address in EVALJOB_PUSHGATEWAY_URL: start it, or unset the variable and the" \
        "demo starts one of its own." >&2
    exit 1
fi

evaljob demo
evaljob run --config config.yaml
fetch "$EVALJOB_PUSHGATEWAY_URL/metrics" >.demo/metrics.prom

echo
echo "$(grep -c '^evaljob_' .demo/metrics.prom) series stand in the Pushgateway at $EVALJOB_PUSHGATEWAY_URL, for example:"
grep '^evaljob_accuracy_ratio{.*model_version="all".*slice="overall"' .demo/metrics.prom | head -n 6 | sed 's/^/  /' || true
echo "Where to look:"
echo "  .demo/metrics.prom      all of them, as Prometheus scrapes them"
if [[ -n $gateway ]]; then
    echo "  That Pushgateway stops now. To browse the results, start your own and name it:"
    echo "  prometheus-pushgateway --persistence.file= &  EVALJOB_PUSHGATEWAY_URL=http://127.0.0.1:9091 make demo"
else
    echo "  $EVALJOB_PUSHGATEWAY_URL      the Pushgateway's own page, it goes on running"
fi
