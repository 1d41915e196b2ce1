#!/usr/bin/env bash
# Installs Debian packages, as root or with sudo. The services they bring are neither started nor enabled: the tests and
# the demo start their own on private ports, and a machine on which they ran should not serve anything afterwards.
# Usage: scripts/apt.sh PACKAGE...
set -euo pipefail

give_up() {
    echo "evaljob needs these packages and $1: ${packages[*]}" >&2
    echo "Install them (on Debian, as root: apt-get install ${packages[*]}) and run the command again." >&2
    exit 1
}

as_root() {
    local interactive=()
    [[ -t 0 ]] || interactive=(--non-interactive)
    sudo "${interactive[@]}" -- "$0" "${packages[@]}"
}

hold_services() {
    [[ ! -e $policy ]] || return 0
    trap 'rm -f "$policy" "$log"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

install() {
    local apt=(apt-get -qq --yes -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
    echo "Installing with apt-get: ${packages[*]}"
    "${apt[@]}" update || echo "apt-get update failed: going on with the package lists at hand" >&2
    DEBIAN_FRONTEND=noninteractive "${apt[@]}" install --no-install-recommends "${packages[@]}" >"$log" 2>&1 || {
        cat "$log" >&2
        give_up "apt-get could not install them"
    }
}

disable_services() {
    command -v systemctl >/dev/null || return 0
    local package
    for package in "${packages[@]}"; do
        systemctl disable --quiet "$package.service" 2>/dev/null || true # most packages bring no service
    done
}

packages=("$@")
policy=/usr/sbin/policy-rc.d # what Debian's maintainer scripts ask before they start a service
command -v apt-get >/dev/null || give_up "this machine has no apt-get"
if ((EUID != 0)); then
    command -v sudo >/dev/null || give_up "only root may install them (there is no sudo)"
    as_root || give_up "sudo could not install them"
    exit
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
hold_services
install
disable_services
