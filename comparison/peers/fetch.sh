#!/usr/bin/env bash
# Fetches the peers that are not Rust into target/peers, in their current versions. Installs nothing.
#
#   comparison/peers/fetch.sh           both
#   comparison/peers/fetch.sh go        promhttp, built by Go; both are packages of Debian's suite forky
#   comparison/peers/fetch.sh python    prometheus_client, from PyPI
#
# promhttp comes from the Debian mirror of apt's configuration (85 MB). Fetched peers are kept. To fetch newer versions,
# delete target/peers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

suite=forky
prometheus_client=prometheus-client==0.26.0

source=$PWD/comparison/peers/promhttp.go
peers=$PWD/target/peers
promhttp=$peers/promhttp
venv=$peers/venv
# Go, its libraries, and apt's files. The build needs them, promhttp does not.
go=$peers/go

# All direct and indirect imports of promhttp. The dependencies of Debian's package are four times as large.
libraries=(
    golang-github-prometheus-client-golang-dev
    golang-github-beorn7-perks-dev
    golang-github-cespare-xxhash-v2-dev
    golang-github-klauspost-compress-dev
    golang-github-munnerz-goautoneg-dev
    golang-github-prometheus-client-model-dev
    golang-github-prometheus-common-dev
    golang-github-prometheus-procfs-dev
    golang-golang-x-sys-dev
    golang-google-protobuf-dev
)

fail() {
    echo "$1" >&2
    exit 1
}

# apt with sources, lists and a status of its own. It uses the machine's proxies and keys, and leaves its lists unchanged.
private_apt() {
    local program=$1
    shift
    "$program" -o Dir::Etc::SourceList="$go/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State="$go/apt/state" -o Dir::State::Status="$go/apt/status" -o Dir::Cache="$go/apt/cache" \
        -o APT::Sandbox::User="$(id -un)" "$@"
}

# This machine's Debian mirror. `indextargets` knows it only after an update.
mirror() {
    local codename uris
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    uris=$(apt-get update --print-uris |
        sed -n "s|^'\(.*\)/dists/$codename/main/binary-[^/]*/Packages.*|\1|p")
    echo "${uris%%$'\n'*}"
}

fetch_go() {
    if [ "$promhttp" -nt "$source" ]; then return; fi
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "promhttp: no apt-get on this machine"
    if ! [ -e "$go/unpacked" ]; then
        local uri toolchain package
        uri=$(mirror)
        [ -n "$uri" ] || fail "promhttp: apt is not configured with a mirror of Debian"
        rm -rf "$go"
        mkdir -p "$go/apt/state/lists/partial" "$go/apt/cache/archives/partial" "$go/packages"
        : >"$go/apt/status"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main" >"$go/apt/sources.list"
        private_apt apt-get -qq update
        # golang-go is empty. It depends on the newest version, such as golang-1.27-go.
        toolchain=$(private_apt apt-cache depends golang-go | awk '/Depends: golang-[0-9.]+-go$/ && !found++ { print $2 }')
        [ -n "$toolchain" ] || fail "promhttp: $suite has no golang-go"
        (
            cd "$go/packages"
            private_apt apt-get -qq download "$toolchain" "${toolchain%-go}-src" "${libraries[@]}"
        )
        for package in "$go"/packages/*.deb; do dpkg-deb -x "$package" "$go"; done
        dpkg-deb -f "$go"/packages/golang-github-prometheus-client-golang-dev_*.deb Version >"$go/unpacked"
        rm -rf "$go/packages" "$go/apt"
    fi
    local root version
    root=$(echo "$go"/usr/lib/go-*)
    version=$(sed 's/-[^-]*$//' "$go/unpacked")
    # Debian's libraries are in a GOPATH, without modules. HOME excludes the user's settings.
    env -u GOFLAGS HOME="$go" GOROOT="$root" GOPATH="$go/usr/share/gocode" GOCACHE="$go/cache" GO111MODULE=off \
        GOTOOLCHAIN=local CGO_ENABLED=0 "$root/bin/go" build -ldflags "-X main.client=$version" -o "$promhttp" "$source"
}

fetch_python() {
    if [ "$(cat "$venv/installed" 2>/dev/null)" = "$prometheus_client" ]; then return; fi
    mkdir -p "$peers"
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" --quiet --disable-pip-version-check install "$prometheus_client"
    echo "$prometheus_client" >"$venv/installed"
}

if [ $# -eq 0 ]; then set -- go python; fi
for peer in "$@"; do
    case "$peer" in
    go)
        fetch_go
        echo "promhttp $("$promhttp" version)"
        ;;
    python)
        fetch_python
        echo "$prometheus_client on $("$venv/bin/python" --version)"
        ;;
    *) fail "unknown peer $peer (expected go or python)" ;;
    esac
done
