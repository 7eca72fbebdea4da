#!/usr/bin/env bash
# Builds the filter, and what the page compares with; `./wasm-build.sh filter` builds the filter alone. The last line on stdout is
# the path of lifeboat.wasm; everything else goes to stderr. Beside it lies lifeboat.meta.json, by which Kong checks the filter's
# settings: both belong into Kong's wasm_filters_path. What the page compares with goes to web/built, from where a later build of
# the program takes it; a release makes it smaller with the wasm-opt that WASM_OPT names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
target=wasm32-wasip1
browser=wasm32-unknown-unknown

install() {
    if [ ! -d "$(rustc --print target-libdir --target "$1")" ]; then
        if ! command -v rustup >/dev/null; then
            echo "wasm-build.sh: this Rust cannot build for $1 and there is no rustup to add it;" \
                "install rustup (https://rustup.rs) or your distribution's standard library for $1" >&2
            exit 1
        fi
        rustup target add "$1" >&2
    fi
}

if [ "$#" -gt 1 ] || [ "${1:-filter}" != filter ]; then
    echo "wasm-build.sh: valid arguments: none, or filter" >&2
    exit 2
fi
install "$target"
cargo build --profile wasm --target "$target" -p lifeboat-filter >&2

# Cargo's own answer, so that CARGO_TARGET_DIR and build.target-dir count alike.
target_directory=$(cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
wasm="$target_directory/$target/wasm/lifeboat.wasm"
if [ ! -f "$wasm" ]; then
    echo "wasm-build.sh: cargo built the filter but $wasm is not there" >&2
    exit 1
fi
cp filter/lifeboat.meta.json "$(dirname "$wasm")/"

if [ "$#" -eq 0 ]; then
    install "$browser"
    cargo build --profile wasm --target "$browser" -p lifeboat-web >&2
    # A tool of exactly the version of the library that it was compiled with: both are in Cargo.lock.
    cargo run --quiet -p lifeboat-web-bindgen -- \
        "$target_directory/$browser/wasm/lifeboat_web.wasm" "$target_directory/web" >&2
    if [ -n "${WASM_OPT:-}" ]; then
        wasm_web=$target_directory/web/comparison_bg.wasm
        # What Rust's own target has switched on.
        "$WASM_OPT" -Os --enable-bulk-memory --enable-mutable-globals --enable-nontrapping-float-to-int \
            --enable-reference-types --enable-sign-ext --enable-multivalue "$wasm_web" -o "$wasm_web" >&2
    fi

    # Only what differs is replaced: the program is built again if something is.
    for file in comparison.js comparison_bg.wasm; do
        cmp --quiet "$target_directory/web/$file" "web/built/$file" || cp "$target_directory/web/$file" "web/built/$file"
    done
fi
echo "$wasm"
