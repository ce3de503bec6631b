#!/usr/bin/env bash
# Installs what is missing, builds Cairn in release and starts `cairn dev`. Arguments go to `cairn dev`.
set -euo pipefail
cd "$(dirname "$0")"
. tests/tools/prepare.sh

prepare_build
cargo build --release -p cairn-cli
exec "$CARGO_TARGET_DIR/release/cairn" dev "$@"
