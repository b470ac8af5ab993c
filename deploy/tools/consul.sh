#!/usr/bin/env bash
# Provide .tools/bin/consul: the Consul on PATH, else Debian 11's package, unpacked and not installed.
#
# Debian 11 is the last release with a Consul package; its binary is static and runs on any Linux.
# It also is the oldest Consul we support, which makes it a good one to test on. See consul-go.sh for
# a newer one. Nothing outside .tools/ and a temporary directory is touched; no root is needed.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly target=.tools/bin/consul
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
declare -rA package_sha256=(
  [amd64]=e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9
)

say() { echo "tools: $*"; }
give_up() {
  say "no Consul: $*" >&2
  say "put a consul binary on PATH (or at $target), or try: make tools-consul-go; make demo also runs without" >&2
  exit 1
}
# sed reads to the end: head would break the pipe, and pipefail take that for no Consul.
version_of() { "$1" version 2>/dev/null | sed -n 1p; }

if [[ -x $target ]] && version=$(version_of $target); then
  say "$target is there: $version"
  exit 0
fi
mkdir -p .tools/bin
if found=$(command -v consul) && version=$(version_of "$found"); then
  ln -sfn "$found" $target
  say "using $found: $version"
  exit 0
fi

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
  give_up "this is no Debian machine"
[[ -r $keyring ]] || give_up "$keyring is missing (apt-get install debian-archive-keyring)"
architecture=$(dpkg --print-architecture)
sha256=${package_sha256[$architecture]:-}
[[ -n $sha256 ]] || give_up "no pinned package for $architecture"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"

# The machine's own mirrors: whatever way out it has to Debian's packages goes through them.
mapfile -t mirrors < <(apt-get --no-release-info indextargets --format '$(REPO_URI)' 2>/dev/null | grep -E '/debian/?$' | sort -u)
[[ ${#mirrors[@]} -gt 0 ]] || give_up "apt knows no Debian mirror (see its sources)"

fetch_from() { # fetch_from MIRROR: leave the package in $work, checked against the keyring.
  local -r apt=(
    apt-get -qq
    -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State=$work/state" -o "Dir::Cache=$work/cache"
    -o Acquire::Languages=none -o Acquire::Retries=2 -o "APT::Sandbox::User=$(id -un)"
  )
  echo "deb [signed-by=$keyring] $1 bullseye main" >"$work/sources.list"
  "${apt[@]}" update && (cd "$work" && "${apt[@]}" download consul)
}

for mirror in "${mirrors[@]}"; do
  say "fetching Debian 11's consul package from $mirror (14 MB)"
  if fetch_from "$mirror" >"$work/apt.log" 2>&1; then break; fi
  sed 's/^/tools: apt: /' "$work/apt.log" >&2
done
package=$(find "$work" -maxdepth 1 -name 'consul_*.deb')
[[ -n $package ]] || give_up "the package could not be fetched"
echo "$sha256  $package" | sha256sum --check --status ||
  give_up "the package is not the pinned one (SHA-256 $(sha256sum <"$package" | cut -d' ' -f1))"
dpkg-deb -x "$package" "$work/unpacked"
install -m 755 "$work/unpacked/usr/bin/consul" $target
say "$target: $(version_of $target)"
