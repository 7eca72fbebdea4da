#!/usr/bin/env bash
# Builds the filter. The last line on stdout is the path of lifeboat.wasm; everything else goes to stderr. Beside it lies
# lifeboat.meta.json, by which Kong checks the filter's settings: both belong into Kong's wasm_filters_path.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
target=wasm32-wasip1

if [ ! -d "$(rustc --print target-libdir --target "$target")" ]; then
    if ! command -v rustup >/dev/null; then
        echo "wasm-build.sh: this Rust cannot build for $target and there is no rustup to add it;" \
            "install rustup (https://rustup.rs) or your distribution's standard library for $target" >&2
        exit 1
    fi
    rustup target add "$target" >&2
fi

cargo build --profile wasm --target "$target" -p lifeboat-filter >&2

# Cargo's own answer, so that CARGO_TARGET_DIR and build.target-dir count alike.
target_directory=$(cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
wasm="$target_directory/$target/wasm/lifeboat.wasm"
if [ ! -f "$wasm" ]; then
    echo "wasm-build.sh: cargo built the filter but $wasm is not there" >&2
    exit 1
fi
cp filter/lifeboat.meta.json "$(dirname "$wasm")/"
echo "$wasm"
