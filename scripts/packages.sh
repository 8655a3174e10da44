#!/usr/bin/env bash
# Installs what a Debian-like machine lacks: packages.sh COMMAND:PACKAGE ...
# A package is installed if its command is not on PATH, or, where the command is empty, if dpkg does not know it.
set -euo pipefail

missing=()
for pair in "$@"; do
    command=${pair%%:*} package=${pair#*:}
    if [ -n "$command" ]; then
        command -v "$command" >/dev/null || missing+=("$package")
    else
        dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    fi
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "==> installing ${missing[*]}"
if ! command -v apt-get >/dev/null; then
    echo "this machine has no apt-get: install the packages above by its own means, then run this again" >&2
    exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "run as root, or install sudo: packages are missing" >&2; exit 1; }
    sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
