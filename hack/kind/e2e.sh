#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Run the scenarios of tests/e2e in a kind cluster that has the agent in kube-proxy's place: build
# the image, create the cluster, install the agent by the shipped manifests, run, and remove
# cluster and image, however it went.
#
# What it is called with goes to pytest, such as -k NAME. KIND_NODE_IMAGE names another image of
# the nodes than kind's own; KIND_RESULTS another folder than build/kind-e2e for the results. The
# kubeconfig of whoever calls it is not touched.
set -euo pipefail
# A list that could not be read must not be taken for an empty one.
shopt -s inherit_errexit
cd "$(dirname "$0")/../.."

readonly CLUSTER=kube-dataplane-e2e
# A container outside of the cluster that the scenarios start.
readonly CLIENT=kube-dataplane-e2e-client
# No registry has this name, so an image that was not loaded is not looked for elsewhere either.
readonly IMAGE=localhost/kube-dataplane:kind-e2e
readonly RESULTS=${KIND_RESULTS:-build/kind-e2e}
readonly WAIT=180s
readonly SYSTEM=(--namespace kube-system)

log() { printf 'kind-e2e: %s\n' "$*" >&2; }
fail() {
  log "error: $*"
  exit 1
}

check_programs() {
  local program missing=() clusters
  for program in docker kind kubectl; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [ ${#missing[@]} -eq 0 ] ||
    fail "not found on PATH: ${missing[*]}; a kind cluster needs Docker, kind and kubectl"
  docker info >/dev/null 2>&1 ||
    fail "Docker does not answer; start it, or see with 'docker info' what is in the way"
  clusters=$(kind get clusters) || fail "kind cannot list its clusters"
  ! grep --quiet --line-regexp "$CLUSTER" <<<"$clusters" ||
    fail "there is a cluster $CLUSTER already, perhaps of a run that was killed;" \
      "if nobody uses it: kind delete cluster --name $CLUSTER"
}

# Nodes that fail are retained, for their logs; clean_up removes them.
create_cluster() {
  log "creating the cluster $CLUSTER"
  kind create cluster --config hack/kind/cluster.yaml --retain \
    ${KIND_NODE_IMAGE:+--image "$KIND_NODE_IMAGE"}
}

install_agent() {
  log "installing the agent"
  kind load docker-image "$IMAGE" --name "$CLUSTER"
  kind get kubeconfig --internal --name "$CLUSTER" >"$work/internal"
  PYTHONPATH=hack .venv/bin/python -m kind --image "$IMAGE" --kubeconfig "$work/internal" \
    >"$work/manifests.yaml"
  kubectl apply --filename "$work/manifests.yaml"
}

# The DNS servers reach the API server by its cluster IP: once they are ready, Services work.
await_health() {
  log "waiting for the agent, the nodes and the cluster's DNS"
  kubectl "${SYSTEM[@]}" rollout status daemonset/kube-dataplane --timeout "$WAIT"
  kubectl wait node --all --for condition=Ready --timeout "$WAIT"
  kubectl "${SYSTEM[@]}" rollout status deployment/coredns --timeout "$WAIT"
}

run_scenarios() {
  log "running the scenarios"
  .venv/bin/pytest -v -m cluster --timeout 300 tests/e2e/test_scenarios.py --kind "$IMAGE" \
    --evidence "$RESULTS" --junit-xml "$RESULTS/results.xml" "$@"
}

# What tells why a run failed. Nothing of it may keep the cluster from being removed.
keep_evidence() {
  local node nodes tool
  log "keeping logs, objects and rules in $RESULTS"
  kind export logs "$RESULTS/logs" --name "$CLUSTER" >/dev/null || log "there are no logs"
  kubectl get nodes,pods,services,endpointslices --all-namespaces --output yaml \
    >"$RESULTS/objects.yaml" || log "there are no objects"
  nodes=$(kind get nodes --name "$CLUSTER") || log "there are no nodes"
  for node in $nodes; do
    for tool in iptables-legacy-save ip6tables-legacy-save; do
      docker exec "$node" "$tool" --counters >"$RESULTS/$node.$tool" || log "$node: no rules"
    done
  done
}

clean_up() {
  local code=$?
  # Whoever is impatient now would leave a cluster behind.
  trap '' INT TERM
  trap - EXIT
  [ "$code" -eq 0 ] || keep_evidence
  log "removing the client, the cluster and the image"
  docker rm --force "$CLIENT" >/dev/null 2>&1 || true
  if ! kind delete cluster --name "$CLUSTER"; then
    log "error: the cluster is left; remove it with: kind delete cluster --name $CLUSTER"
    code=1
  fi
  docker image rm --force "$IMAGE" >/dev/null || log "the image $IMAGE is left"
  rm -rf "$work"
  exit "$code"
}

check_programs
work=$(mktemp --directory --tmpdir kube-dataplane-kind.XXXXXX)
export KUBECONFIG=$work/kubeconfig
mkdir -p "$RESULTS"
trap clean_up EXIT
# As an exit, so that the program that runs just now ends before the cluster is removed.
trap 'exit 130' INT
trap 'exit 143' TERM
log "building the image $IMAGE"
docker build --file hack/Dockerfile --tag "$IMAGE" .
create_cluster
install_agent
await_health
run_scenarios "$@"
