# Sourced by install-and-run.sh, test and .ci/run: finds or installs what a build and the tests need.
# shellcheck shell=bash

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/cairn/target}"
[ -d "$HOME/.cargo/bin" ] && PATH="$HOME/.cargo/bin:$PATH"

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

# apt_install PACKAGE...: on Debian and Ubuntu, as root or through sudo; elsewhere says what is missing.
apt_install() {
  if ! command -v apt-get >/dev/null; then
    echo "Please install: $* (or your system's packages of the same purpose), then run this again." >&2
    exit 1
  fi
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo)
  say "Installing $*"
  "${root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# A C++ compiler and libclang for RocksDB, a C compiler for the rest, Rust 1.95 or later.
prepare_build() {
  local missing=()
  command -v clang++ >/dev/null || missing+=(clang)
  command -v cc >/dev/null || missing+=(gcc libc6-dev)
  command -v make >/dev/null || missing+=(make)
  compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || compgen -G '/usr/lib/*/libclang*.so*' >/dev/null ||
    missing+=(libclang-dev)
  compgen -G '/usr/include/c++/*' >/dev/null || missing+=(g++)
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
  prepare_rust
}

prepare_rust() {
  local have
  have=$(rustc --version 2>/dev/null | cut -d' ' -f2 || true)
  if [ -n "$have" ] && [ "$(printf '%s\n' 1.95.0 "${have%%-*}" | sort -V | head -n1)" = 1.95.0 ]; then
    return
  fi
  command -v curl >/dev/null || apt_install curl ca-certificates
  if command -v rustup >/dev/null; then
    say "Rust ${have:-none} is too old: updating with rustup"
    rustup update stable
  else
    say "Installing Rust with rustup"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
    PATH="$HOME/.cargo/bin:$PATH"
  fi
}

# cargo-deny, built once from crates.io beside the caches; quickly, for nobody waits for it to run. It judges every
# crate in the lock file, those of other systems and engines too, which no build has downloaded.
prepare_deny() {
  cargo fetch --quiet --locked
  local tools="${XDG_CACHE_HOME:-$HOME/.cache}/cairn/tools"
  PATH="$tools/bin:$PATH"
  command -v cargo-deny >/dev/null && return
  say "Installing cargo-deny into $tools (once, some minutes)"
  CARGO_TARGET_DIR="$tools/target" cargo install --quiet --locked --profile dev --root "$tools" cargo-deny@0.20.2 &&
    rm -rf "$tools/target"
}

# The clients that the end-to-end tests run, in an environment of their own.
prepare_clients() {
  export CAIRN_TEST_VENV="${CAIRN_TEST_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/cairn/clients}"
  local missing=()
  command -v rclone >/dev/null || missing+=(rclone)
  command -v restic >/dev/null || missing+=(restic)
  command -v fusermount3 >/dev/null || missing+=(fuse3)
  python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
  if [ ! -x "$CAIRN_TEST_VENV/bin/aws" ] || ! cmp -s tests/tools/requirements.txt "$CAIRN_TEST_VENV/requirements.txt"; then
    say "Installing boto3, aws cli, s3cmd, minio-py and grpcurl into $CAIRN_TEST_VENV"
    python3 -m venv "$CAIRN_TEST_VENV"
    "$CAIRN_TEST_VENV/bin/pip" install -q --disable-pip-version-check -r tests/tools/requirements.txt
    cp tests/tools/requirements.txt "$CAIRN_TEST_VENV/requirements.txt"
  fi
  PATH="$CAIRN_TEST_VENV/bin:$PATH"
}

# A browser without a window. Where there is none to be had, its tests say SKIPPED.
prepare_browser() {
  command -v chromium-headless-shell >/dev/null || (apt_install chromium-headless-shell) || true
}
