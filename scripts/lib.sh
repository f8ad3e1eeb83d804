# shellcheck shell=bash
# What every script here shares: progress lines, installing what is missing, free ports, and
# stopping whatever was started. Sourced, never run.

set -euo pipefail

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# Cargo's own variable moves everything that is built out of the repository.
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
[[ $TARGET == /* ]] || TARGET=$PWD/$TARGET

# --- progress -------------------------------------------------------------------------------

if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
    BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' YELLOW=$'\e[33m' PLAIN=$'\e[0m'
else
    BOLD='' RED='' GREEN='' YELLOW='' PLAIN=''
fi

# Progress goes to stderr, so that the output of a script stays usable in $(…).
say() { printf '%s==> %s%s\n' "$BOLD" "$*" "$PLAIN" >&2; }
note() { printf '    %s\n' "$*" >&2; }
good() { printf '%s%s%s\n' "$GREEN" "$*" "$PLAIN" >&2; }
warn() { printf '%swarning: %s%s\n' "$YELLOW" "$*" "$PLAIN" >&2; }
die() {
    printf '%serror: %s%s\n' "$RED" "$*" "$PLAIN" >&2
    exit 1
}

# The comment block at the head of a script is its --help.
show_help() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"; }

seconds_now() { date +%s.%N; }
seconds_since() { awk -v a="$1" -v b="$(seconds_now)" 'BEGIN { printf "%.1f", b - a }'; }

# --- leaving --------------------------------------------------------------------------------

CHILDREN=()
TEMPORARY=()

# Everything that was started is stopped and every temporary folder removed, however we leave.
leave() {
    local status=$? pid
    trap - EXIT INT TERM HUP
    for pid in "${CHILDREN[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${CHILDREN[@]}"; do
        for _ in {1..50}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if ((${#TEMPORARY[@]})); then rm -rf -- "${TEMPORARY[@]}"; fi
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Starts a command in the background, output into a file; its process id is in $STARTED.
# shellcheck disable=SC2034  # STARTED is for the caller
start() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null &
    STARTED=$!
    CHILDREN+=("$STARTED")
}

# A new temporary folder in $MADE. Not through $(…), where the list of folders would be lost.
# shellcheck disable=SC2034  # MADE is for the caller
make_temporary() {
    MADE=$(mktemp -d "${TMPDIR:-/tmp}/ngx-llm.XXXXXX")
    TEMPORARY+=("$MADE")
}

# wait_for SECONDS WHAT COMMAND… : until the command succeeds.
wait_for() {
    local limit=$1 what=$2 deadline
    shift 2
    deadline=$((SECONDS + limit))
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || die "waited $limit s for $what"
        sleep 0.05
    done
}

# --- ports ----------------------------------------------------------------------------------

# free_ports N: prints N ports that nobody listens on; all are held until all are known.
free_ports() {
    perl -MIO::Socket::INET -e '
        my @held = map { IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") } 1 .. shift;
        print join(" ", map { $_->sockport } @held), "\n";' "$1"
}

port_is_free() {
    perl -MIO::Socket::INET -e '
        exit !IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1", LocalPort => shift,
            ReuseAddr => 1);' "$1"
}

# --- packages -------------------------------------------------------------------------------

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "\"$*\" needs root: run it as root, or install sudo"
    fi
}

has_package() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

APT_UPDATED=''

# need_packages NAME… : installs those that are missing; does nothing when all are there.
need_packages() {
    local name missing=() off=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        warn "no apt-get here; on this system you have to install: $*"
        return
    fi
    for name; do has_package "$name" || missing+=("$name"); done
    ((${#missing[@]})) || return 0
    say "Installing ${missing[*]}"
    if [[ -z $APT_UPDATED ]]; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
        APT_UPDATED=yes
    fi
    # Only their binaries are wanted: their ports must stay free now and after the next boot.
    for name in nginx postgresql prometheus; do has_package "$name" || off+=("$name"); done
    without_service_start as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
    command -v systemctl >/dev/null || return 0
    for name in "${off[@]}"; do
        has_package "$name" || continue
        as_root systemctl disable "$name" >/dev/null 2>&1 || true
        note "the $name service was left off; \"systemctl enable --now $name\" turns it on"
    done
}

# Debian starts a service when its package is installed, unless this policy file says no.
without_service_start() {
    local policy=/usr/sbin/policy-rc.d status=0
    if [[ -e $policy ]]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    "$@" || status=$?
    as_root rm -f "$policy"
    return "$status"
}

# --- Rust -----------------------------------------------------------------------------------

# need_rust [fmt] [clippy]: a cargo that is new enough, with these components.
need_rust() {
    local wanted component
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml" | head -1)
    if ! command -v cargo >/dev/null && [[ -x $HOME/.cargo/bin/cargo ]]; then
        PATH=$HOME/.cargo/bin:$PATH
    fi
    if ! rust_is_at_least "$wanted"; then install_rust "$wanted"; fi
    rust_is_at_least "$wanted" || die "cargo and rustc $wanted or newer are needed; \
$(command -v cargo || echo 'no cargo') is $(cargo --version 2>/dev/null || echo 'not usable')"
    for component; do
        cargo "$component" --version >/dev/null 2>&1 || install_rust_component "$component"
    done
}

rust_is_at_least() {
    local found
    found=$(cargo --version 2>/dev/null | awk '{ print $2 }') || return 1
    rustc --version >/dev/null 2>&1 || return 1
    [[ -n $found && $(printf '%s\n%s\n' "$1" "$found" | sort -V | head -1) == "$1" ]]
}

# Debian keeps a current Rust for its browsers; the plain "cargo" package of Debian 12 is too old.
install_rust() {
    local wanted=$1 candidate=''
    if command -v apt-get >/dev/null && ! command -v rustup >/dev/null; then
        if ! has_package cargo && ! has_package rustc; then
            as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
            APT_UPDATED=yes
            candidate=$(apt-cache policy cargo-web | awk '$1 == "Candidate:" { print $2 }')
        fi
        if [[ -n $candidate && $candidate != '(none)' ]] &&
            dpkg --compare-versions "$candidate" ge "$wanted"; then
            need_packages cargo-web rustc-web
            hash -r
            return
        fi
    fi
    die "Rust $wanted or newer is needed. Install it from https://rustup.rs (or with
    \"rustup update stable\"), or on Debian 12, after removing an older one:
    apt-get remove cargo rustc && apt-get install cargo-web rustc-web rustfmt-web rust-web-clippy"
}

install_rust_component() {
    local package
    case $1 in
    fmt) package=rustfmt-web ;;
    *) package=rust-web-clippy ;;
    esac
    if has_package cargo-web; then
        need_packages "$package"
    elif command -v rustup >/dev/null; then
        say "Installing the Rust component $1"
        rustup component add "${1/#fmt/rustfmt}" >&2
    fi
    cargo "$1" --version >/dev/null 2>&1 ||
        die "\"cargo $1\" is missing: install rustfmt and clippy"
}

# --- nginx ----------------------------------------------------------------------------------

# Debian's headers come unconfigured: a copy for each version of the package, configured once.
# Sets $nginx, and for cargo NGINX_SOURCE_DIR and NGINX_BUILD_DIR.
need_debian_nginx() {
    local version source
    # The compiler and libclang are for nginx-sys, which runs bindgen over nginx's headers.
    need_packages gcc libc6-dev libclang-dev make nginx nginx-dev
    # shellcheck disable=SC2034  # for the caller
    nginx=/usr/sbin/nginx
    version=$(dpkg-query -W -f '${Version}' nginx-dev)
    source=$TARGET/nginx-debian/$version
    if [[ ! -e $source/configured ]]; then
        say "Configuring nginx $version as Debian does"
        rm -rf "$source"
        mkdir -p "$source"
        cp -r /usr/share/nginx/src/. "$source"
        # Without Debian's own flags the signature differs and nginx refuses the module.
        # shellcheck source=/dev/null
        (cd "$source" && . ./conf_flags && ./configure "${NGX_CONF_FLAGS[@]}") \
            >"$source.log" 2>&1 || { tail -20 "$source.log" >&2 && die "see $source.log"; }
        touch "$source/configured"
    fi
    export NGINX_SOURCE_DIR=$source NGINX_BUILD_DIR=$source/objs
}

# What requests run through, as scripts/profile has counted it, for one LLVM and newer ones.
PROFILES=$ROOT/src/module/requests-llvm

# use_profile: has rustc lay out the module by it, if it can read one. A function that has changed since
# is compiled without it.
use_profile() {
    local file llvm
    llvm=$(llvm_of_rustc)
    for file in "$PROFILES"*.profdata; do
        if [[ $file =~ llvm([0-9]+)\.profdata$ ]] && ((BASH_REMATCH[1] <= llvm)); then
            export RUSTFLAGS="${RUSTFLAGS:-} -Cprofile-use=$file -Cllvm-args=-no-pgo-warn-mismatch"
        fi
    done
}

llvm_of_rustc() { rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p'; }

# use_build FLAVOUR: builds it; exports TEST_LLM_NGINX and TEST_LLM_MODULE, what the tests run. A
# TEST_LLM_MODULE that is set already is used as it is.
use_build() {
    local built
    if [[ -n ${TEST_LLM_MODULE:-} ]]; then
        export TEST_LLM_NGINX=${TEST_LLM_NGINX:-/usr/sbin/nginx}
        return
    fi
    built=$("$ROOT/scripts/build" "$1")
    TEST_LLM_MODULE=$(sed -n 's/^SO=//p' <<<"$built")
    TEST_LLM_NGINX=$(sed -n 's/^NGINX=//p' <<<"$built")
    # The .so for Debian's nginx comes without a binary: it is the installed one.
    export TEST_LLM_MODULE TEST_LLM_NGINX=${TEST_LLM_NGINX:-/usr/sbin/nginx}
}

# In the profile "release" it answers an eighth more requests, which only a benchmark notices.
MOCK_PROFILE=tools

# use_mock: builds the fake provider; exports TEST_LLM_MOCK, unless it is set already.
use_mock() {
    [[ -z ${TEST_LLM_MOCK:-} ]] || return 0
    need_packages gcc libc6-dev
    need_rust
    say 'Building mock-provider'
    (cd "$ROOT" && cargo build --profile "$MOCK_PROFILE" --target-dir "$TARGET" --package mock-provider >&2)
    export TEST_LLM_MOCK=$TARGET/$MOCK_PROFILE/mock-provider
}

# use_ctl: builds llmctl; exports TEST_LLM_CTL, unless it is set already.
use_ctl() {
    [[ -z ${TEST_LLM_CTL:-} ]] || return 0
    need_packages gcc libc6-dev
    need_rust
    say 'Building llmctl'
    (cd "$ROOT" && cargo build --profile tools --target-dir "$TARGET" --package llmctl >&2)
    export TEST_LLM_CTL=$TARGET/tools/llmctl
}

# --- Python ---------------------------------------------------------------------------------

# need_sdks: the official SDKs, once, in .venv.
need_sdks() {
    local venv=$ROOT/.venv
    need_packages python3 python3-venv
    if cmp -s "$ROOT/t/sdk/requirements.txt" "$venv/requirements.txt"; then return; fi
    say 'Installing the SDKs into .venv'
    # Debian's own python: the one its python3-venv package belongs to.
    /usr/bin/python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$ROOT/t/sdk/requirements.txt" >&2
    cp "$ROOT/t/sdk/requirements.txt" "$venv/requirements.txt"
}
