#!/usr/bin/env bash
# Fails if a sample in samples/dist is not what its source makes: samples/compare.sh BUILT_DIR, which build.sh has filled.
#
# Another toolchain makes other bytes from the same source: then there is nothing to compare, and it says so.
set -euo pipefail

dist=$(cd "$(dirname "${BASH_SOURCE[0]}")/dist" && pwd)
built=$(cd "$1" && pwd)

if ! cmp -s "$dist/toolchain.txt" "$built/toolchain.txt"; then
    echo "samples: NOT COMPARED with samples/dist, which another toolchain has built (< samples/dist, > here):" >&2
    diff "$dist/toolchain.txt" "$built/toolchain.txt" >&2 || true
    exit 0
fi

different=()
for file in "$built"/*.wasm "$dist"/*.wasm; do
    name=$(basename "$file")
    cmp -s "$built/$name" "$dist/$name" || different+=("$name")
done
if [ "${#different[@]}" -gt 0 ]; then
    echo "samples: samples/dist is not what the source makes:" >&2
    printf '%s\n' "${different[@]}" | sort -u | sed 's/^/  /' >&2
    echo "Run samples/build.sh, and commit samples/dist." >&2
    exit 1
fi
