#!/usr/bin/env bash
# Install other people's Marathon clients and the schema fuzzer, as they are published and locked,
# in .tools/clients/. Nothing of Egret needs them to run: they are what tests/clients tries it with.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/clients
there=.tools/clients
stamp=$(cat "$here"/*.lock "$here/package-lock.json" "$0" | sha256sum)
if [[ -e $there/.done && $(<"$there/.done") == "$stamp" ]]; then exit 0; fi

fail() {
  echo "clients: $1" >&2
  exit 1
}

for program in node npm; do
  command -v $program >/dev/null || fail "$program is missing; on Debian: apt-get install nodejs npm"
done
rm -rf "$there"
mkdir -p "$there"
for kind in python fuzz; do
  echo "clients: locked packages of $kind.lock"
  "${PYTHON:-python3}" -m venv "$there/$kind"
  "$there/$kind/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps \
    --require-hashes -r "$here/$kind.lock" ||
    fail "the Python package index cannot be reached, or no longer has what $kind.lock names"
done
echo "clients: locked packages of package-lock.json"
cp "$here/package.json" "$here/package-lock.json" "$there/"
npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$there" ||
  fail "the npm registry cannot be reached, or no longer has what package-lock.json names"
printf '%s\n' "$stamp" >"$there/.done"
