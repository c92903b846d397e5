# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The steps of install.sh that change the cluster.
# shellcheck disable=SC2154 # install.sh sets the options before anything here is called

# The node that is between two agents, if any.
unfinished=
skipped=()

keep_kube_proxy_to_its_nodes() {
  local nodes
  if is_kube_proxy_kept; then
    return
  fi
  nodes=$(nodes_labelled "!$LABEL")
  if [ -n "$nodes" ]; then
    # shellcheck disable=SC2086 # many words
    change label nodes $nodes "$LABEL=$KUBE_PROXY"
  fi
  select_nodes "\"$KUBE_PROXY\""
}

# select_nodes VALUE: what kube-proxy wants the label to be, in JSON; null for whatever it is.
select_nodes() {
  change patch daemonset "$KUBE_PROXY" "${IN_NAMESPACE[@]}" --type merge --patch \
    "{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"$LABEL\":$1}}}}}"
}

apply_agent() {
  local rename=(set image --local --filename "$here/manifests/daemonset.yaml" "*=$image"
    --output yaml)
  if [ -n "$dry_run" ]; then
    printf 'kubectl%s | ' "$(printf ' %q' "${rename[@]}")"
    change apply --filename -
  else
    kubectl "${rename[@]}" | kube apply --filename -
  fi
}

# hand_to NODE AGENT: label the node so that this agent's pod comes to it.
hand_to() {
  if [ "$2" = "$AGENT" ]; then
    change label node "$1" "$LABEL-"
  else
    change label node "$1" "$LABEL=$2" --overwrite
  fi
}

# move NODE FROM TO: let one agent leave the node, then let the other come.
move() {
  if ! is_node_ready "$1"; then
    # The kubelet could not tell that the old pod is gone.
    log "$1 is not Ready, or not there any more: left as it is"
    skipped+=("$1")
    return
  fi
  log "$1: from $2 to $3"
  unfinished=$1
  clear_node "$1"
  hand_to "$1" "$3"
  if ! wait_until is_ready_on "$1" "$3"; then
    log "$1: $3 is not ready after $timeout s; its pod, to see why, while it is there:" \
      "$(pods "k8s-app=$3" "$1")"
    clear_node "$1"
    give_back "$1" "$2"
  fi
  unfinished=
}

# clear_node NODE: let whoever is there go.
clear_node() {
  hand_to "$1" "$NOBODY"
  wait_until is_nobody_on "$1" ||
    fail "$1: a pod does not go within $timeout s; see why with: kubectl describe node $1"
}

# give_back NODE AGENT: a node that was moved in vain goes back, and nothing more is tried.
give_back() {
  hand_to "$1" "$2"
  wait_until is_ready_on "$1" "$2" || fail "$1: $2 does not become ready again either"
  unfinished=
  fail "$1 has $2 again; nodes moved before it stay as they are, and the others were not touched"
}

tell_skipped() {
  [ ${#skipped[@]} -eq 0 ] ||
    fail "left as they were, since they were not Ready: ${skipped[*]}; run this again later"
}

tell_unfinished() {
  [ -z "$unfinished" ] ||
    log "$unfinished is between two agents: its rules stay, but follow no changes;" \
      "run this again, or with --back, to finish"
}

# Only once no node is left to it: kube-proxy comes to all nodes then.
remove_agent() {
  local nodes
  change delete daemonset "$AGENT" "${IN_NAMESPACE[@]}" --ignore-not-found
  wait_until is_agent_nowhere || fail "there are still pods of $AGENT; see: kubectl get pods"
  if is_kube_proxy_kept; then
    select_nodes null
    # All nodes have kube-proxy already, the old pods or the new ones.
    change rollout status daemonset "$KUBE_PROXY" "${IN_NAMESPACE[@]}" --timeout "${timeout}s" ||
      log "kube-proxy's pods have not all restarted yet; see: kubectl describe daemonset $KUBE_PROXY"
  fi
  nodes=$(nodes_labelled "$LABEL")
  if [ -n "$nodes" ]; then
    # shellcheck disable=SC2086 # many words
    change label nodes $nodes "$LABEL-"
  fi
  change delete --filename "$here/manifests/rbac.yaml" --ignore-not-found
}
