#!/usr/bin/env bash
# Builds a virtual environment, by default .venv with exactly what requirements.lock names.
# Usage: scripts/venv.sh [DIRECTORY]     any other gets nothing but pip: a place for other tools
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
directory=${1:-.venv}

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
if [[ $directory == .venv ]]; then
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --requirement requirements.lock
    touch .venv/locked
fi
