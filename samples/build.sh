#!/usr/bin/env bash
# Builds the samples and the node's tools (runtime/tools) from source: samples/build.sh [OUT_DIR], samples/dist by default.
#
# Two ways, the first that this machine allows:
#   1. rustup's wasm32-wasip2 target (`rustup target add wasm32-wasip2`): plain cargo;
#   2. Debian packages alone: Debian's rustc builds the standard library too, over the wasi-libc of Debian unstable, which
#      is only unpacked under target/tools. Missing packages are installed with apt-get when run as root.
# CAROB_GUEST_TOOLCHAIN=rustup or debian chooses one; CAROB_TOOLS is the folder for what is unpacked.
#
# The same toolchain makes the same bytes in any folder; OUT_DIR/toolchain.txt says which it was (see compare.sh).
set -euo pipefail

readonly TARGET=wasm32-wasip2
readonly DEBIAN_PACKAGES=(rustc-web cargo-web rust-web-src lld-22)
readonly UNSTABLE_MIRROR=${CAROB_DEBIAN_UNSTABLE:-http://deb.debian.org/debian}

samples=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly samples
runtime_tools=$(cd "$samples/../runtime/tools" && pwd)
readonly runtime_tools
readonly build_dir=${CARGO_TARGET_DIR:-$samples/../target}
readonly tools=${CAROB_TOOLS:-$build_dir/tools}
readonly guests=$build_dir/guests
mkdir -p "${1:-$samples/dist}"
out=$(cd "${1:-$samples/dist}" && pwd)
readonly out

main() {
    local way
    way=${CAROB_GUEST_TOOLCHAIN:-$(choose_toolchain)}
    say "building with the $way toolchain"
    case $way in
    rustup) build_with_rustup ;;
    debian) build_with_debian ;;
    *) fail "no way to build for $TARGET here." \
        "Run 'rustup target add $TARGET', or, on Debian 12 or later, run this as root or install: ${DEBIAN_PACKAGES[*]}" ;;
    esac
    collect
}

choose_toolchain() {
    if command -v rustup >/dev/null && rustup target list --installed | grep -qx "$TARGET"; then
        echo rustup
    elif command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || [ -z "$(missing_packages)" ]; }; then
        echo debian
    else
        echo none
    fi
}

build_with_rustup() {
    guest_cargo cargo "$(remap_paths)"
    record rustup "$(rustc --version)"
}

build_with_debian() {
    local missing linker libc flags
    missing=$(missing_packages)
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086 # one word for each package
        install_packages $missing
    fi
    linker=$(component_linker)
    libc=$(wasi_libc)
    flags=$(join_flags "$(remap_paths)" "-Lnative=$libc" -Clink-arg=--wasm-ld-path=wasm-ld-22 \
        --remap-path-prefix=/usr/lib/rustlib/src/rust=rust)
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_WASIP2_LINKER=$linker \
        guest_cargo /usr/bin/cargo "$flags" -Zbuild-std=std,panic_abort
    record debian "$(/usr/bin/rustc --version)" "$("$linker" --version)" "$(wasm-ld-22 --version)" \
        "libc.a $(sha256sum <"$libc/libc.a" | cut -c 1-16)"
}

# All that the bytes depend on beside the source, a line for each.
record() {
    printf '%s\n' "$@" >"$out/toolchain.txt"
}

# guest_cargo CARGO ENCODED_RUSTFLAGS [ARGUMENT...]
guest_cargo() {
    local cargo=$1 flags=$2
    shift 2
    local workspace
    for workspace in "$samples" "$runtime_tools"; do
        cd "$workspace"
        CARGO_TARGET_DIR=$guests CARGO_ENCODED_RUSTFLAGS=$flags \
            "$cargo" build --locked --release --target "$TARGET" "$@" ||
            fail "the build failed; cargo's messages above say why."
    done
}

collect() {
    local name
    for name in cached-page counter echo-client echo-client-p3 file-prober file-prober-p3 front front-p3 \
        hello-http hello-http-p3 misbehave misbehave-p3 page-cache prices probe-sockets probe-sockets-p3 shop tcp-echo \
        tcp-echo-p3 tools udp-echo udp-echo-p3 visits; do
        # cargo names the file of a library with underscores.
        local built=$guests/$TARGET/release/$name.wasm
        [ -f "$built" ] || built=$guests/$TARGET/release/${name//-/_}.wasm
        cp "$built" "$out/$name.wasm"
        say "$out/$name.wasm: $(wc -c <"$out/$name.wasm") bytes"
    done
}

missing_packages() {
    local package
    for package in "${DEBIAN_PACKAGES[@]}"; do
        dpkg -s "$package" >/dev/null 2>&1 || printf '%s ' "$package"
    done
}

install_packages() {
    [ "$(id -u)" = 0 ] || fail "missing packages." "Run: sudo apt-get install $*"
    say "installing $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null ||
        fail "apt-get could not install $*." "They need Debian 12's security suite (rustc 1.96, LLVM 22) or a later Debian."
}

# The linker that makes components: rustup ships it inside its host toolchain.
component_linker() {
    local rustup_own
    rustup_own=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/wasm-component-ld
    if command -v wasm-component-ld; then
        return
    elif [ -x "$rustup_own" ]; then
        echo "$rustup_own"
    else
        say "building wasm-component-ld (about three minutes, once)"
        [ -x "$tools/bin/wasm-component-ld" ] || cargo install --quiet --root "$tools" wasm-component-ld >&2
        echo "$tools/bin/wasm-component-ld"
    fi
}

# The folder of libc.a for the target. Debian 12's own wasi-libc is of 2022 and does not know components.
wasi_libc() {
    local unpacked=$tools/wasi-libc
    if [ ! -d "$unpacked" ]; then
        say "fetching wasi-libc from Debian unstable into ${tools#"$PWD"/}"
        fetch_wasi_libc
        rm -rf "$unpacked.part"
        dpkg-deb -x "$tools"/apt/wasi-libc_*.deb "$unpacked.part"
        mv "$unpacked.part" "$unpacked"
    fi
    echo "$unpacked/usr/lib/$TARGET"
}

# Downloads one package through an apt configuration of its own: the system's is neither read nor changed.
fetch_wasi_libc() {
    local apt=$tools/apt
    rm -rf "$apt"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    echo "deb $UNSTABLE_MIRROR unstable main" >"$apt/sources.list"
    : >"$apt/status"
    local options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
        -o APT::Sandbox::User=root)
    (cd "$apt" && apt-get "${options[@]}" update && apt-get "${options[@]}" download wasi-libc) >&2 ||
        fail "could not fetch wasi-libc from $UNSTABLE_MIRROR." "Set CAROB_DEBIAN_UNSTABLE to a mirror that this machine reaches."
}

# The same source makes the same file wherever it is built: no path of this machine stays in it.
remap_paths() {
    join_flags "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=registry" "--remap-path-prefix=$samples=samples" \
        "--remap-path-prefix=$runtime_tools=tools"
}

# cargo's own separator, so that a path may hold a blank.
join_flags() {
    local IFS=$'\x1f'
    echo "$*"
}

say() {
    echo "samples: $*" >&2
}

fail() {
    printf 'samples: %s\n' "$@" >&2
    exit 1
}

main
