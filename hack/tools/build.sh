#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Print the folder that holds the programs of a set, and build there what is missing, in the
# versions that the set's go.mod pins. The first build takes many minutes, the next call none.
#
#   build.sh SET            build what is missing
#   build.sh SET --locate   build nothing: fail if anything is missing
#
# The sets are kubernetes, pinned by go.mod here, and metallb, pinned by metallb/go.mod. K8S_BIN (or
# KUBEBUILDER_ASSETS) and METALLB_BIN name folders of ready programs to take instead.
# XDG_CACHE_HOME moves the folder of built ones, which is ~/.cache/kube-dataplane/tools/VERSION.
set -euo pipefail
cd "$(dirname "$0")"
ROOT=$(cd ../.. && pwd)

log() { printf 'tools: %s\n' "$*" >&2; }
fail() {
  log "error: $*"
  exit 1
}

# choose SET: say what it consists of. PROGRAMS are named with their packages, FILES with their path
# in MODULE, whose version counts. Programs learn their version from variables of the package STAMP;
# READY is the folder of ready ones, which VARIABLE names.
declare -A PROGRAMS=() FILES=()
choose() {
  case "$1" in
    kubernetes)
      PROGRAMS=(
        [etcd]=go.etcd.io/etcd/server/v3
        [kube-apiserver]=k8s.io/kubernetes/cmd/kube-apiserver
        [kube-controller-manager]=k8s.io/kubernetes/cmd/kube-controller-manager
        [kube-proxy]=k8s.io/kubernetes/cmd/kube-proxy
        [kubectl]=k8s.io/kubernetes/cmd/kubectl
      )
      MODULE=k8s.io/kubernetes STAMP=k8s.io/component-base/version PREFIX=''
      VARIABLE='K8S_BIN or KUBEBUILDER_ASSETS' READY=${K8S_BIN:-${KUBEBUILDER_ASSETS:-}}
      ;;
    metallb)
      cd metallb
      PROGRAMS=(
        [controller]=go.universe.tf/metallb/controller
        [speaker]=go.universe.tf/metallb/speaker
      )
      FILES=([metallb-native.yaml]=config/manifests/metallb-native.yaml)
      MODULE=go.universe.tf/metallb STAMP='' PREFIX=metallb-
      VARIABLE=METALLB_BIN READY=${METALLB_BIN:-}
      ;;
    *) fail "there is no set '$1': name kubernetes or metallb" ;;
  esac
}

version() { awk -v module="$MODULE" '$1 == module { print $2; exit }' go.mod; }

# The checksum is part of the name, so that a change of any pinned module leads to a new build.
cache_folder() {
  local checksum
  checksum=$(cat go.mod go.sum | sha256sum)
  printf '%s/kube-dataplane/tools/%s%s-%s\n' \
    "${XDG_CACHE_HOME:-$HOME/.cache}" "$PREFIX" "$(version)" "${checksum:0:12}"
}

# missing FOLDER: print what is not in it.
missing() {
  local name
  for name in "${!PROGRAMS[@]}" "${!FILES[@]}"; do
    [ -e "$1/$name" ] || printf '%s\n' "$name"
  done | sort | xargs
}

# The Go on PATH, or else one in .venv: distributions have older ones. From 1.21 on, Go fetches the
# version that a go.mod names by itself.
provide_go() {
  local wanted environment=$ROOT/.venv/bin
  wanted=$(awk '$1 == "go" { print $2; exit }' go.mod)
  if go list -m >/dev/null 2>&1; then
    return
  fi
  log "no Go $wanted or newer here: taking one from $environment"
  "$environment/python" -m pip install --quiet --disable-pip-version-check \
    --group "$ROOT/pyproject.toml:go" ||
    fail "Go $wanted or newer is needed: install it, or set $VARIABLE to a folder of programs"
  PATH=$environment:$PATH
  go list -m >/dev/null || fail "Go $wanted or newer is needed, this is $(go version)"
}

# build PROGRAM FILE
build() {
  local flags='-s -w' major minor
  if [ -n "$STAMP" ]; then
    IFS=. read -r major minor _ <<<"$(version | tr -d v)"
    flags+=" -X $STAMP.gitVersion=$(version) -X $STAMP.gitMajor=$major -X $STAMP.gitMinor=$minor"
  fi
  # Memory for speed: the compiler collects garbage less often, and describes nothing to debuggers.
  CGO_ENABLED=0 GOGC=400 go build -trimpath -gcflags=all=-dwarf=false -o "$2" -ldflags "$flags" \
    "${PROGRAMS[$1]}"
}

# copy NAME FILE
copy() {
  go mod download "$MODULE"
  install -m 644 "$(go list -m -f '{{.Dir}}' "$MODULE")/${FILES[$1]}" "$2"
}

# provide FOLDER NAME
provide() {
  # Under another name first: an interrupted build must not look like a finished one.
  local new=$1/.$2.new
  if [ -n "${PROGRAMS[$2]:-}" ]; then
    log "building $2"
    build "$2" "$new"
  else
    copy "$2" "$new"
  fi
  mv "$new" "$1/$2"
}

main() {
  choose "${1:-}"
  local folder=${READY:-$(cache_folder)} names name
  names=$(missing "$folder")
  if [ -n "$names" ]; then
    [ -z "$READY" ] || fail "not found in $READY, which $VARIABLE names: $names"
    [ "${2:-}" != --locate ] || fail "not built yet: $names; run: make tools"
    provide_go
    mkdir -p "$folder"
    for name in $names; do
      provide "$folder" "$name"
    done
  fi
  printf '%s\n' "$folder"
}

main "$@"
