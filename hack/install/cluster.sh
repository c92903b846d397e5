# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The cluster as install.sh sees it: what is asked with kubectl, and what is waited for.
# shellcheck disable=SC2154 # install.sh sets the options before anything here is called

readonly NAMESPACE=kube-system
# The value of the label while one agent has to go before the other may come.
readonly NOBODY=none
readonly IN_NAMESPACE=(--namespace "$NAMESPACE")

log() { printf 'install: %s\n' "$*" >&2; }
fail() {
  log "error: $*"
  exit 1
}

# Always with the context found at the start: another terminal may choose another current one.
kube() { kubectl --context "$context" "$@"; }

# change ARGUMENT...: run kubectl, or only say so.
change() {
  if [ -n "$dry_run" ]; then
    printf 'kubectl%s\n' "$(printf ' %q' --context "$context" "$@")"
  else
    kube "$@"
  fi
}

# nodes_labelled SELECTOR: the names of Linux nodes.
nodes_labelled() {
  kube get nodes --selector "kubernetes.io/os=linux${1:+,$1}" \
    --output 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}'
}

# Unfinished ones first: they have nobody who follows changes.
nodes_without_agent() {
  if is_kube_proxy_kept; then
    nodes_labelled "$LABEL=$NOBODY"
    nodes_labelled "$LABEL=$KUBE_PROXY"
  else
    nodes_labelled ""
  fi
}

nodes_without_kube_proxy() {
  nodes_labelled "$LABEL=$NOBODY"
  nodes_labelled "!$LABEL"
}

is_node_ready() {
  local status
  status=$(kube get node "$1" \
    --output 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')
  [ "$status" = True ]
}

# Whether kube-proxy wants labelled nodes only.
is_kube_proxy_kept() {
  local selector
  selector=$(kube get daemonset "$KUBE_PROXY" "${IN_NAMESPACE[@]}" \
    --output 'jsonpath={.spec.template.spec.nodeSelector}') ||
    fail "the DaemonSet $NAMESPACE/$KUBE_PROXY cannot be read"
  [[ $selector == *"\"$LABEL\""* ]]
}

# pods SELECTOR [NODE]: a line for each, with its name and whether it is ready.
pods() {
  kube get pods "${IN_NAMESPACE[@]}" --selector "$1" \
    ${2:+--field-selector "spec.nodeName=$2"} --output \
    'jsonpath={range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}'
}

# An answer that does not come is no answer: it must not be taken for "no pods".
is_nobody_on() {
  local found
  found=$(pods "k8s-app in ($KUBE_PROXY,$AGENT)" "$1") && [ -z "$found" ]
}

is_agent_nowhere() {
  local found
  found=$(pods "k8s-app=$AGENT") && [ -z "$found" ]
}

is_ready_on() {
  local found
  found=$(pods "k8s-app=$2" "$1") && [[ $found == *" True" ]]
}

# wait_until CONDITION ARGUMENT...: whether the condition came true in time.
wait_until() {
  local deadline=$((SECONDS + timeout))
  if [ -n "$dry_run" ]; then
    printf '# wait until: %s\n' "$*"
    return
  fi
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 1
  done
}
