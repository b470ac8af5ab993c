#!/usr/bin/env bash
# Build .tools/bin/consul-go, a newer Consul than Debian packages, from its Go module.
#
# `go install consul@version` is refused because Consul's go.mod has replace directives; built as a
# dependency of an empty module those do not count. That only works for a release whose own
# submodules were all published under the versions it names, as 1.21.0's were (1.20.0's and 1.22.0's
# were not). Go's checksum database pins every module. Takes some minutes and 3 GB of Go's caches.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly version=v1.21.0
readonly target=$PWD/.tools/bin/consul-go

say() { echo "tools: $*"; }

if [[ -x $target ]]; then
  say "${target#"$PWD"/} is there: $("$target" version | head -n 1)"
  exit 0
fi
command -v go >/dev/null || { say "no Go on PATH; it is needed to build Consul" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$(dirname "$target")"
cd "$work"
export GOFLAGS=-mod=mod CGO_ENABLED=0
say "resolving Consul $version and its modules"
go mod init egret.invalid/consul 2>/dev/null
go get "github.com/hashicorp/consul@$version" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
say "building Consul $version, this takes some minutes"
nice -n 10 go build -trimpath -ldflags "-s -w" -o "$target" github.com/hashicorp/consul
say "${target##*/}: $("$target" version | head -n 1)"
