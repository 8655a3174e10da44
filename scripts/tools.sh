#!/usr/bin/env bash
# Installs what the tests use into a folder: tools.sh FOLDER
# FOLDER/usr/bin/kubectl is a current kubectl, FOLDER/venv a Python with the Kubernetes client, FOLDER/bin/cargo-deny the
# checker of licences and doubles. The networks of the tests need iproute2, ethtool and libfaketime of the system, the
# questions about names dig.
set -euo pipefail

tools=$1
here=$(dirname "$0")
mkdir -p "$tools"

"$here/packages.sh" python3:python3 :python3-venv dig:bind9-dnsutils ip:iproute2 ethtool:ethtool :libfaketime
"$here/unstable.sh" "$tools" kubectl

if [ ! -x "$tools/bin/cargo-deny" ]; then
    echo "==> installing cargo-deny into $tools (some minutes)"
    CARGO_TARGET_DIR="$tools/build" cargo install --quiet --locked --root "$tools" cargo-deny@0.20.2
    rm -rf "$tools/build"
fi

if ! "$tools/venv/bin/python" -c 'import kubernetes' 2>/dev/null; then
    echo "==> installing the Python client into $tools/venv"
    rm -rf "$tools/venv"
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/python-client.txt"
fi
