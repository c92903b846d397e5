#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Print the folder that holds the Kubernetes programs of the cluster tests, and build there what is
# missing, in the versions that go.mod pins. The first build takes many minutes, the next call none.
#
#   build.sh            build what is missing
#   build.sh --locate   build nothing: fail if anything is missing
#
# K8S_BIN (or KUBEBUILDER_ASSETS) names a folder of ready programs to take instead.
# XDG_CACHE_HOME moves the folder of built ones, which is ~/.cache/kube-dataplane/tools/VERSION.
set -euo pipefail
cd "$(dirname "$0")"

declare -rA PACKAGES=(
  [etcd]=go.etcd.io/etcd/server/v3
  [kube-apiserver]=k8s.io/kubernetes/cmd/kube-apiserver
  [kube-controller-manager]=k8s.io/kubernetes/cmd/kube-controller-manager
  [kube-proxy]=k8s.io/kubernetes/cmd/kube-proxy
  [kubectl]=k8s.io/kubernetes/cmd/kubectl
)
readonly READY=${K8S_BIN:-${KUBEBUILDER_ASSETS:-}}

log() { printf 'tools: %s\n' "$*" >&2; }
fail() {
  log "error: $*"
  exit 1
}

kubernetes_version() { awk '$1 == "k8s.io/kubernetes" { print $2; exit }' go.mod; }

# The checksum is part of the name, so that a change of any pinned module leads to a new build.
cache_folder() {
  local checksum
  checksum=$(cat go.mod go.sum | sha256sum)
  printf '%s/kube-dataplane/tools/%s-%s\n' \
    "${XDG_CACHE_HOME:-$HOME/.cache}" "$(kubernetes_version)" "${checksum:0:12}"
}

# missing FOLDER: print the programs that are not in it.
missing() {
  local program
  for program in "${!PACKAGES[@]}"; do
    [ -x "$1/$program" ] || printf '%s\n' "$program"
  done | sort | xargs
}

require_go() {
  local wanted
  wanted=$(awk '$1 == "go" { print $2; exit }' go.mod)
  command -v go >/dev/null ||
    fail "building needs Go $wanted or newer; install it, or set K8S_BIN to a folder of programs"
  go list -m >/dev/null ||
    fail "Go $wanted or newer is needed, this is $(go env GOVERSION);" \
      "install it, or set K8S_BIN to a folder of programs"
}

# build FOLDER PROGRAM
build() {
  local version major minor stamp=k8s.io/component-base/version
  version=$(kubernetes_version)
  IFS=. read -r major minor _ <<<"${version#v}"
  log "building $2"
  # Under another name first: an interrupted build must not look like a finished one.
  CGO_ENABLED=0 go build -trimpath -o "$1/.$2.new" -ldflags "-s -w -X $stamp.gitVersion=$version \
    -X $stamp.gitMajor=$major -X $stamp.gitMinor=$minor" "${PACKAGES[$2]}"
  mv "$1/.$2.new" "$1/$2"
}

main() {
  local folder=${READY:-$(cache_folder)} programs program
  programs=$(missing "$folder")
  if [ -n "$programs" ]; then
    [ -z "$READY" ] || fail "not found in $READY, which K8S_BIN or KUBEBUILDER_ASSETS names: $programs"
    [ "${1:-}" != --locate ] || fail "not built yet: $programs; run: make tools"
    require_go
    mkdir -p "$folder"
    for program in $programs; do
      build "$folder" "$program"
    done
  fi
  printf '%s\n' "$folder"
}

main "$@"
