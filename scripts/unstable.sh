#!/usr/bin/env bash
# Unpacks packages of Debian's unstable suite into a folder, without touching the system: unstable.sh FOLDER PACKAGE ...
# For tools whose version in the stable suite is too old. What is unpacked already is left as it is.
set -euo pipefail

folder=$1
shift
missing=()
for package in "$@"; do
    [ -e "$folder/.unpacked/$package" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "==> unpacking ${missing[*]} of Debian unstable into $folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$folder/.unpacked"
echo "deb http://deb.debian.org/debian unstable main" >"$work/sources.list"
: >"$work/status"
apt=(apt-get -qq
    -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status"
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update
cd "$work"
for package in "${missing[@]}"; do
    "${apt[@]}" download "$package"
    dpkg-deb -x "$package"_*.deb "$folder"
    touch "$folder/.unpacked/$package"
done
