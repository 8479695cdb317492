#!/bin/sh
# Runs Node 26 on a file of this repository, whatever Node the machine has: `sh scripts/with-node.sh FILE ARGUMENT...`
# First makes sure that node_modules fits package-lock.json, and installs it when it does not. Two at once wait for each other.
# The working directory stays the caller's. Speaks on stderr only, so that the output of what it runs stays clean.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
stamp=$root/node_modules/.fitted-package-lock.json
lock=$root/.setup-lock

say() { printf 'sycee: %s\n' "$*" >&2; }

fits() {
  [ -f "$root/node_modules/.package-lock.json" ] || return 1
  if [ -f "$stamp" ]; then cmp -s "$root/package-lock.json" "$stamp"; return; fi
  # Somebody ran `npm ci` by hand: npm writes this file last.
  [ -z "$(find "$root/package-lock.json" -newer "$root/node_modules/.package-lock.json")" ]
}

# A lock whose owner is gone (kill -9, power loss) is taken over.
take_lock() {
  waited=
  until mkdir "$lock" 2>/dev/null; do
    [ -w "$root" ] || { say "cannot write to $root, which is needed to install packages"; exit 1; }
    owner=$(cat "$lock/pid" 2>/dev/null || :)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then rm -rf "$lock"; continue; fi
    [ -n "$waited" ] || say 'another process installs the packages; waiting for it'
    waited=yes
    sleep 1
  done
  trap 'rm -rf "$lock"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  echo $$ > "$lock/pid"
}

# Under `npm start` the environment holds npm's own settings, which would steer the npm in here (another prefix, no development packages),
# and a PATH that starts with the very directory that is about to be replaced.
run_npm_ci() (
  cd "$root"
  for name in global location prefix local_prefix omit only production include dev optional dry_run json package_lock \
    package_lock_only workspace workspaces include_workspace_root os cpu libc engine_strict loglevel script_shell; do
    unset "npm_config_$name" "NPM_CONFIG_$(printf '%s' "$name" | tr '[:lower:]' '[:upper:]')"
  done
  unset NODE_ENV
  PATH=$(printf '%s' "$PATH" | tr ':' '\n' | grep -v '/node_modules/\.bin$' | paste -s -d : -)
  export PATH
  npm ci --ignore-scripts --include=dev --include=optional --no-audit --no-fund --no-progress --loglevel=error
)

install() {
  command -v npm >/dev/null || { say 'npm is missing. Install Node.js with npm (any version from 20 on), then try again.'; exit 1; }
  say 'installing packages (npm ci), once'
  # Its output names machines and paths; what a reader needs of it is the code.
  if ! output=$(run_npm_ci 2>&1); then
    code=$(printf '%s\n' "$output" | sed -n 's/^npm error code \([A-Z0-9_]*\).*/\1/p' | head -n 1)
    say "npm ci failed${code:+ with $code}. Check the network and the free disk space; 'npm ci' alone in $root tells more."
    exit 1
  fi
  cp "$root/package-lock.json" "$stamp"
}

is_node_26() {
  case $("$1" --version 2>/dev/null || :) in
    v2[6-9].* | v[3-9][0-9].*) return 0 ;;
    *) return 1 ;;
  esac
}

if ! fits; then
  take_lock
  fits || install
  rm -rf "$lock"
  trap - EXIT INT TERM HUP
fi

node=$root/node_modules/.bin/node
if ! is_node_26 "$node"; then
  node=$(command -v node || :)
  if [ -z "$node" ] || ! is_node_26 "$node"; then
    say "Node 26 is needed, and no package brings it for this machine ($(uname -s) $(uname -m)). Install Node 26 or later, then try again."
    exit 1
  fi
fi

# Tools that start `node` themselves find the same one.
PATH=$(dirname -- "$node"):$PATH
export PATH

# What one process or thread has compiled the next one takes from there, when the source is the same: half of a start. Only where that can be written:
# in some places that cannot, Node looks for a way for ever.
compiled=$root/node_modules/.cache/compiled
if [ -z "${NODE_COMPILE_CACHE:-}" ] && mkdir -p "$compiled" 2>/dev/null && [ -w "$compiled" ]; then
  NODE_COMPILE_CACHE=$compiled
  export NODE_COMPILE_CACHE
fi
exec "$node" "$@"
