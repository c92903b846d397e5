#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Print where promtool is, which judges the alerts. One that is installed is used; otherwise Debian's
# is taken out of its package and put into build/: to install that package would start a Prometheus.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly FOLDER=build/promtool
readonly UNPACKED=$FOLDER/promtool

if command -v promtool; then
  exit
fi
if [ ! -x "$UNPACKED" ]; then
  if ! command -v apt-get >/dev/null; then
    printf 'promtool: not found; install the one that comes with Prometheus\n' >&2
    exit 1
  fi
  mkdir -p "$FOLDER"
  download=$(mktemp -d)
  trap 'rm -rf "$download"' EXIT
  fetch() {
    # As a user of its own apt could not write there, and says so.
    (cd "$download" && apt-get -qq -o APT::Sandbox::User=root download prometheus)
  }
  fetch 2>/dev/null || { apt-get -qq update && fetch; }
  dpkg-deb --fsys-tarfile "$download"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$UNPACKED.new"
  chmod +x "$UNPACKED.new"
  mv "$UNPACKED.new" "$UNPACKED"
fi
printf '%s\n' "$PWD/$UNPACKED"
