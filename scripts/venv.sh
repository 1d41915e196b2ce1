#!/usr/bin/env bash
# Builds a virtual environment with exactly what a lock file names; without one, with nothing but pip.
# Usage: scripts/venv.sh DIRECTORY [LOCKFILE]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
directory=$1
lock=${2:-}

suits() { command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.11 python3.12 python3.13 python3.14; do
        if suits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

python=$(find_python) || { scripts/apt.sh python3 python3-venv && python=$(find_python); } || {
    echo "evaljob needs Python 3.11 or newer: install it, or name it with PYTHON=/path/to/python3" >&2
    exit 1
}

# Debian keeps the modules that make virtual environments in a package of their own.
"$python" -c 'import ensurepip, venv' 2>/dev/null || scripts/apt.sh python3-venv

# --clear: an environment that grew by hand would hide what the lock file lacks.
"$python" -m venv --clear "$directory"
if [[ -n $lock ]]; then
    # These three come as source alone, which needs no compiler.
    "$directory/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --no-binary pyhive,pure-sasl,pyspark \
        --require-hashes --requirement "$lock"
    touch "$directory/locked"
fi
