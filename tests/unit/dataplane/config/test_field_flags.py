# SPDX-License-Identifier: Apache-2.0
"""The table of flags; what their values do is tested with ``dataplane.flags``."""

from __future__ import annotations

from dataplane.config.defaults import with_defaults
from dataplane.config.document import field_at, to_document
from dataplane.config.field_flags import FIELD_FLAGS
from dataplane.config.types import KubeProxyConfiguration

KUBE_PROXYS_FLAGS = """
    --bind-address --bind-address-hard-fail --cluster-cidr --config-sync-period
    --conntrack-max-per-core --conntrack-min --conntrack-tcp-be-liberal
    --conntrack-tcp-timeout-close-wait --conntrack-tcp-timeout-established --conntrack-udp-timeout
    --conntrack-udp-timeout-stream --detect-local-mode --feature-gates --healthz-bind-address
    --hostname-override --iptables-localhost-nodeports --iptables-masquerade-bit
    --iptables-min-sync-period --iptables-sync-period --ipvs-exclude-cidrs --ipvs-min-sync-period
    --ipvs-scheduler --ipvs-strict-arp --ipvs-sync-period --ipvs-tcp-timeout --ipvs-tcpfin-timeout
    --ipvs-udp-timeout --kube-api-burst --kube-api-content-type --kube-api-qps --kubeconfig
    --log-flush-frequency --log-json-info-buffer-size --log-json-split-stream
    --log-text-info-buffer-size --log-text-split-stream --logging-format --masquerade-all
    --metrics-bind-address --nodeport-addresses --oom-score-adj --pod-bridge-interface
    --pod-interface-name-prefix --profiling --proxy-mode --show-hidden-metrics-for-version --v
"""


def test_kube_proxys_flags_are_there() -> None:
    """Each flag of kube-proxy that stands for a field is taken, under its name."""
    assert sorted(flag.name for flag in FIELD_FLAGS) == KUBE_PROXYS_FLAGS.split()


def test_each_flag_has_a_field_of_its_own() -> None:
    """Every flag's path leads to a field, and no two to the same."""
    document = to_document(with_defaults(KubeProxyConfiguration()))
    paths = [flag.path for flag in FIELD_FLAGS]

    assert len(set(paths)) == len(paths)
    for path in paths:
        assert field_at(document, path) is not None
