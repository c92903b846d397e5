#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Replace kube-proxy in a cluster by the agent, node by node, or go back to kube-proxy.
#
# Two agents on a node would undo each other's rules, so a label of the node says which one it has:
# kube-proxy's DaemonSet is made to want nodes labelled "kube-proxy", and the agent's wants those
# that are not. In between a node is labelled "none" until the old pod is gone. The rules stay in
# the kernel all that time; they are only not changed. A run that was broken off is continued by
# the next one.
set -euo pipefail
# A list that could not be read must not be taken for an empty one.
shopt -s inherit_errexit
here=$(dirname "$0")

readonly KUBE_PROXY=kube-proxy
readonly AGENT=kube-dataplane
readonly LABEL=kube-dataplane/node-proxy
readonly INSTALL_RIGHTS=(
  "patch nodes"
  "create daemonsets.apps --namespace kube-system"
  "patch daemonsets.apps --namespace kube-system"
  "create serviceaccounts --namespace kube-system"
  "create clusterroles.rbac.authorization.k8s.io"
  "create clusterrolebindings.rbac.authorization.k8s.io"
)
readonly BACK_RIGHTS=(
  "patch nodes"
  "patch daemonsets.apps --namespace kube-system"
  "delete daemonsets.apps --namespace kube-system"
  "delete serviceaccounts --namespace kube-system"
  "delete clusterroles.rbac.authorization.k8s.io"
  "delete clusterrolebindings.rbac.authorization.k8s.io"
)

context=
image=
timeout=180
dry_run=
assume_yes=
direction=install
only_nodes=()

# shellcheck source=hack/install/cluster.sh disable=SC1091
source "$here/install/cluster.sh"
# shellcheck source=hack/install/checks.sh disable=SC1091
source "$here/install/checks.sh"
# shellcheck source=hack/install/nodes.sh disable=SC1091
source "$here/install/nodes.sh"

usage() {
  cat <<'END'
Usage: hack/install.sh --image IMAGE [OPTION]...   replace kube-proxy by the agent
       hack/install.sh --back [OPTION]...          go back to kube-proxy

  --image IMAGE      what hack/Dockerfile builds, under a name that the nodes can pull
  --node NAME        only this node, for a first try; may be given more than once
  --context NAME     the cluster, as kubectl knows it  [default: the current context]
  --timeout SECONDS  how long a pod may take to go or to become ready  [default: 180]
  --dry-run          print the kubectl commands that change something, and run none of them
  --yes              do not ask before the first change
END
}

parse_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --image | --node | --context | --timeout)
        [ $# -gt 1 ] || fail "$1 needs a value; see --help"
        take_value "$1" "$2"
        shift
        ;;
      --back) direction=back ;;
      --dry-run) dry_run=yes ;;
      --yes) assume_yes=yes ;;
      -h | --help)
        usage
        exit
        ;;
      *) fail "unknown argument $1; see --help" ;;
    esac
    shift
  done
  [ "$direction" = back ] || [ -n "$image" ] || fail "--image is missing; see --help"
  [[ $timeout =~ ^[1-9][0-9]*$ ]] || fail "--timeout $timeout is not a number of seconds"
}

take_value() {
  case $1 in
    --image) image=$2 ;;
    --node) only_nodes+=("$2") ;;
    --context) context=$2 ;;
    --timeout) timeout=$2 ;;
  esac
}

# confirm QUESTION: end here unless the operator agrees.
confirm() {
  local answer=
  [ -z "$dry_run$assume_yes" ] || return 0
  printf '%s [y/N] ' "$1" >&2
  read -r answer || true
  [[ $answer =~ ^[yY] ]] || fail "nothing was changed"
}

install_agent() {
  local nodes node
  check_rights "${INSTALL_RIGHTS[@]}"
  check_configuration
  nodes=$(nodes_without_agent)
  nodes=$(choose "$nodes")
  cat >&2 <<END
In the cluster $context, for $(count "$nodes") nodes, one after the other:
  - kube-proxy is kept to nodes with the label $LABEL=$KUBE_PROXY
    (if it is not yet, its pods restart once; rules stay in place)
  - the agent's pod takes the place of kube-proxy's and has to become ready; if it does not in
    $timeout s, that node gets kube-proxy back and nothing more is done
END
  confirm "Replace kube-proxy?"
  keep_kube_proxy_to_its_nodes
  change apply --filename "$here/manifests/rbac.yaml"
  apply_agent
  for node in $nodes; do
    move "$node" "$KUBE_PROXY" "$AGENT"
  done
  tell_skipped
  log "done. Upgrades that apply kube-proxy's DaemonSet anew, as kubeadm's do, must leave it out:" \
    "kubeadm upgrade apply --skip-phases=addon/kube-proxy"
}

bring_back() {
  local nodes node
  check_rights "${BACK_RIGHTS[@]}"
  nodes=
  if is_kube_proxy_kept; then
    nodes=$(nodes_without_kube_proxy)
    nodes=$(choose "$nodes")
  fi
  cat >&2 <<END
In the cluster $context, for $(count "$nodes") nodes, one after the other:
  - kube-proxy's pod takes the place of the agent's and has to become ready
If no node is left with the agent then, its DaemonSet, rights and labels are removed, and
kube-proxy's pods restart once more; rules stay in place.
END
  confirm "Go back to kube-proxy?"
  for node in $nodes; do
    move "$node" "$AGENT" "$KUBE_PROXY"
  done
  tell_skipped
  if [ ${#only_nodes[@]} -eq 0 ]; then
    remove_agent
  fi
  log "done"
}

parse_arguments "$@"
check_cluster
trap tell_unfinished EXIT
if [ "$direction" = back ]; then
  bring_back
else
  install_agent
fi
