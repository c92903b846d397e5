#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Make .venv, with the dataplane command and the tools of development in it, in the versions that
# hack/constraints.txt pins. On Debian and its relatives, root gets missing system packages
# installed; elsewhere, what is missing is named.
#
# With --browser, install the browser that the tests of the status page click in, and nothing else;
# with --image, what the image is built with where there is no Docker.
#
# PYTHON names the interpreter to build with, if the one found is not the one wanted.
set -euo pipefail
root=$(dirname "$0")/..
cd "$root"

readonly PIP_VERSION=26.3
# python-iptables compiles a small C file when it is installed, and loads libip4tc and libip6tc.
readonly BUILD_PACKAGES=(python3-venv gcc libc6-dev)
# The agent needs no ipset: tests judge its sets by that program.
readonly KERNEL_PACKAGES=(iptables iproute2 ipset)
readonly BROWSER_PACKAGES=(chromium chromium-driver)
readonly IMAGE_PACKAGES=(buildah mmdebstrap)

log() { printf 'setup: %s\n' "$*" >&2; }
fail() {
  log "error: $*"
  exit 1
}

# missing PACKAGE...: print those that are not installed.
missing() {
  local package
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null |
      grep -qx installed || printf '%s ' "$package"
  done
}

is_debian() {
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null
}

# install_packages PACKAGE...: as root, on Debian.
install_packages() {
  log "installing $*"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# provide_programs "PROGRAM..." PACKAGE...: install the packages if a program of theirs is missing.
provide_programs() {
  local program programs=$1
  shift
  for program in $programs; do
    command -v "$program" >/dev/null && continue
    if ! is_debian || [ "$(id -u)" -ne 0 ]; then
      fail "$program is missing; on Debian, as root: apt-get install $*"
    fi
    install_packages "$@"
    return
  done
}

install_system_packages() {
  if ! is_debian; then
    log "not a Debian system: if a step fails, install what provides Python 3.11 or newer with" \
      "venv, a C compiler, the C library's headers, iptables-legacy with libip4tc and libip6tc," \
      "iproute2 and ipset"
    return
  fi
  local needed wanted
  read -ra needed <<<"$(missing "${BUILD_PACKAGES[@]}")"
  read -ra wanted <<<"$(missing "${KERNEL_PACKAGES[@]}")"
  if [ $((${#needed[@]} + ${#wanted[@]})) -eq 0 ]; then
    return
  fi
  if [ "$(id -u)" -eq 0 ]; then
    install_packages "${needed[@]}" "${wanted[@]}"
  elif [ ${#needed[@]} -gt 0 ]; then
    fail "packages are missing; as root, run: apt-get install ${needed[*]} ${wanted[*]}"
  else
    log "without ${wanted[*]} only the dry run works: programming a kernel needs them, and root"
  fi
}

# is_usable PYTHON: it runs, is new enough, and can make virtual environments. A shim of a version
# manager can be found and yet not run.
is_usable() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# The system's interpreter first: it is the one that python3-venv belongs to, and any user can read
# it, which matters once the agent is run by another user than the one who built .venv.
find_python() {
  local candidate
  for candidate in ${PYTHON:-/usr/bin/python3 python3 python3.13 python3.12 python3.11}; do
    if is_usable "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  fail "no usable Python: 3.11 or newer with the venv module is needed (tried:" \
    "${PYTHON:-python3, python3.11 to 3.13}); on Debian: apt-get install python3-venv"
}

make_environment() {
  local python
  if ! is_usable .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    log "making .venv with $("$python" --version) ($python)"
    "$python" -m venv --clear .venv
  fi
  log "installing the dataplane command and the tools into .venv"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "pip==$PIP_VERSION"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint hack/constraints.txt --build-constraint hack/constraints-build.txt \
    --group dev --group bench --editable .
}

case "${1:-}" in
  --browser)
    provide_programs "chromium chromedriver" "${BROWSER_PACKAGES[@]}"
    exit
    ;;
  --image)
    provide_programs "buildah mmdebstrap" "${IMAGE_PACKAGES[@]}"
    exit
    ;;
esac
install_system_packages
hack/monitoring/promtool.sh >/dev/null || log "without promtool the tests of the alerts fail"
make_environment
.venv/bin/dataplane --help >/dev/null || fail "the dataplane command was installed but does not run"
log "done: .venv/bin/dataplane"
