#!/usr/bin/env bash
# Installs the named servers with the system's package manager, only those that are missing.
# Usage: scripts/servers.sh [pushgateway] [prometheus] [postgresql] [mariadb] [java] [chromium]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps servers, and not on the PATH of an ordinary user

on_path() { command -v "$1" >/dev/null; }

missing=()
for server in "$@"; do
    case $server in
    pushgateway) on_path prometheus-pushgateway || on_path pushgateway || missing+=(prometheus-pushgateway) ;;
    prometheus) on_path prometheus && on_path promtool || missing+=(prometheus) ;;
    postgresql) on_path initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql) ;;
    # The server without its service: the -core packages.
    mariadb) on_path mariadbd && on_path my_print_defaults || missing+=(mariadb-server-core mariadb-client-core) ;;
    java) on_path java || missing+=(openjdk-17-jre-headless) ;;
    chromium) on_path chromium || missing+=(chromium) ;;
    *)
        echo "unknown server: $server" >&2
        exit 2
        ;;
    esac
done

if ((${#missing[@]})); then
    scripts/apt.sh "${missing[@]}"
fi
