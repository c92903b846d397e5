# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What has to hold before install.sh changes anything.
# shellcheck disable=SC2154 # install.sh sets the options before anything here is called

check_cluster() {
  local app
  command -v kubectl >/dev/null || fail "kubectl is not installed, or not on PATH"
  if [ -z "$context" ]; then
    context=$(kubectl config current-context) ||
      fail "kubectl has no current context; name one with --context"
  fi
  readonly context
  kube get nodes --output name >/dev/null ||
    fail "the cluster of the context $context does not answer, or nodes may not be listed there"
  app=$(kube get daemonset "$KUBE_PROXY" "${IN_NAMESPACE[@]}" \
    --output 'jsonpath={.spec.selector.matchLabels.k8s-app}') ||
    fail "there is no DaemonSet $NAMESPACE/$KUBE_PROXY to replace or to go back to;" \
      "in a cluster without kube-proxy, apply hack/manifests by hand"
  [ "$app" = "$KUBE_PROXY" ] ||
    fail "the pods of the DaemonSet $NAMESPACE/$KUBE_PROXY are not labelled" \
      "k8s-app=$KUBE_PROXY, so they cannot be told from others"
}

# check_rights "VERB RESOURCE [--namespace NAMESPACE]"...: name all that are missing.
check_rights() {
  local right scope missing=()
  for right in "$@"; do
    scope=()
    # Of what is in no namespace, kubectl would warn that it is in none.
    [[ $right == *--namespace* ]] || scope=(--all-namespaces)
    # shellcheck disable=SC2086 # several words
    kube auth can-i $right "${scope[@]}" --quiet || missing+=("$right")
  done
  [ ${#missing[@]} -eq 0 ] ||
    fail "you may not $(printf '%s, ' "${missing[@]}" | sed 's/, $//')" \
      "in the context $context; use one of a cluster administrator"
}

# kube-proxy in another mode leaves rules that the agent does not know.
check_configuration() {
  local configuration mode
  configuration=$(kube get configmap "$KUBE_PROXY" "${IN_NAMESPACE[@]}" \
    --output 'jsonpath={.data.config\.conf}') ||
    fail "there is no ConfigMap $NAMESPACE/$KUBE_PROXY to take the agent's configuration from"
  [ -n "$configuration" ] ||
    fail "the ConfigMap $NAMESPACE/$KUBE_PROXY has no config.conf, as kubeadm's has;" \
      "see hack/manifests/example"
  mode=$(sed -n 's/^mode:[[:space:]]*//p' <<<"$configuration" | tr -d "\"'")
  [[ -z $mode || $mode = iptables ]] ||
    fail "kube-proxy works in the mode $mode here, and the agent in iptables only;" \
      "change kube-proxy to iptables first, as its documentation says"
}

# choose NODES: those that --node names, or all.
choose() {
  local node
  if [ ${#only_nodes[@]} -eq 0 ]; then
    printf '%s\n' "$1"
    return
  fi
  for node in "${only_nodes[@]}"; do
    kube get node "$node" --output name >/dev/null || fail "there is no node $node"
    grep --line-regexp --fixed-strings -- "$node" <<<"$1" || log "$node needs no change"
  done
}

count() { wc --words <<<"$1"; }
