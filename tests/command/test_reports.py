# SPDX-License-Identifier: Apache-2.0
"""What a running agent tells over HTTP, and the flows that it ends."""

from __future__ import annotations

import json
import socket

import pytest

from lab import Host, wait_until
from tests.apiserver.objects import endpoint_slice, node, service
from tests.apiserver.store import JsonObject
from tests.command.http import HEALTHZ_PORT, METRICS_PORT, get
from tests.command.site import NODE_NAME, Site

CHECK_PORT = 32100
NODE_PORT = 30053


def sample(host: Host, name: str) -> float:
    """The value of one sample; 0 if it is not there."""
    lines = get(host, METRICS_PORT, "/metrics").body.splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name + " ")), 0.0)


def balanced() -> JsonObject:
    """A load-balancer Service that wants health checks."""
    return service(
        type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=CHECK_PORT
    )


def local_slice(*addresses: str) -> JsonObject:
    """Endpoints on the agent's own node."""
    one = endpoint_slice()
    one["endpoints"] = [{"addresses": [text], "nodeName": NODE_NAME} for text in addresses]
    return one


def test_health_is_told(site: Site) -> None:
    """An agent whose rules are up to date says so, on both paths."""
    site.write("web.yaml", service(), endpoint_slice())
    site.start()
    site.wait_for_destinations("10.244.1.2:8080")

    answer = get(site.host, HEALTHZ_PORT, "/healthz")

    assert answer.status == 200
    assert json.loads(answer.body)["nodeEligible"] is True
    assert get(site.host, HEALTHZ_PORT, "/livez").status == 200


def test_a_leaving_node_refuses_traffic_but_lives(site: Site) -> None:
    """With the autoscaler's taint /healthz is 503 and /livez 200; without it all is well again."""
    leaving = node(NODE_NAME)
    leaving["spec"]["taints"] = [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]
    site.write("node.yaml", leaving)
    site.write("web.yaml", service(), endpoint_slice())
    site.start()
    site.wait_for_destinations("10.244.1.2:8080")

    def healthz() -> int:
        return get(site.host, HEALTHZ_PORT, "/healthz").status

    wait_until("the node refuses traffic", lambda: healthz() == 503)
    assert get(site.host, HEALTHZ_PORT, "/livez").status == 200
    site.write("node.yaml", node(NODE_NAME))
    wait_until("the node takes traffic", lambda: healthz() == 200)


def test_metrics_follow_the_syncs(site: Site) -> None:
    """Syncs, rules, skipped objects and repairs are counted under their names."""
    site.write("web.yaml", service(), endpoint_slice())
    site.write("bad.yaml", service("bad", clusterIP="10.96.0.300", clusterIPs=["10.96.0.300"]))
    site.start()
    site.wait_for_destinations("10.244.1.2:8080")

    assert sample(site.host, 'dataplane_objects_skipped_total{kind="Service"}') == 1
    syncs = 'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"}'
    assert sample(site.host, syncs) >= 1
    site.host.run(["iptables-legacy", "-w", "-t", "nat", "-F", "KUBE-SERVICES"])
    repairs = 'dataplane_repairs_total{ip_family="IPv4",table="nat"}'
    wait_until("the repair is counted", lambda: sample(site.host, repairs) == 1)
    assert get(site.host, METRICS_PORT, "/proxyMode").body == "iptables"
    configuration = json.loads(get(site.host, METRICS_PORT, "/configz").body)
    assert configuration["kubeproxy.config.k8s.io"]["hostnameOverride"] == NODE_NAME


def test_health_check_ports_follow_the_endpoints(site: Site) -> None:
    """Load balancers learn how many endpoints the node has, and the port closes in the end."""
    site.write("web.yaml", balanced(), local_slice("10.244.1.2", "10.244.1.3"))
    site.start()

    answer = get(site.host, CHECK_PORT, "/")

    assert answer.status == 200
    assert json.loads(answer.body) == {
        "service": {"namespace": "default", "name": "web"},
        "localEndpoints": 2,
        "serviceProxyHealthy": True,
    }
    elsewhere = endpoint_slice()
    elsewhere["endpoints"][0]["nodeName"] = "node-b"
    site.write("web.yaml", balanced(), elsewhere)
    wait_until("none is local", lambda: get(site.host, CHECK_PORT, "/").status == 503)


def test_flows_end_with_their_service(site: Site) -> None:
    """A UDP flow to a cluster IP is forgotten when the Service is deleted."""
    site.host.ip("addr replace 10.244.1.2/32 dev lo", "route replace 10.96.0.10/32 dev lo")
    ports = [{"port": 53, "protocol": "UDP", "nodePort": NODE_PORT}]
    manifest = site.write("dns.yaml", service(type="NodePort", ports=ports), endpoint_slice())
    site.start()
    site.wait_for_destinations("10.244.1.2:8080")
    ended = "kubeproxy_conntrack_reconciler_deleted_entries_total"
    with site.host.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"question", ("10.96.0.10", 53))

    manifest.unlink()

    wait_until("the flow is ended", lambda: sample(site.host, f'{ended}{{ip_family="IPv4"}}') == 1)


@pytest.mark.parametrize("flag", ["--metrics-bind-address=192.0.2.99:10249"])
def test_an_address_that_cannot_be_had(site: Site, flag: str) -> None:
    """With hard fail the agent ends with one sentence; without it, it programs all the same."""
    site.write("web.yaml", service(), endpoint_slice())

    ended = site.run_to_its_end(flag, "--bind-address-hard-fail")

    assert ended.returncode == 1
    assert "192.0.2.99:10249" in ended.stderr.splitlines()[-1]
    site.start(flag)
    site.wait_for_destinations("10.244.1.2:8080")


def test_rules_of_another_proxy_in_nftables_are_told(site: Site) -> None:
    """An agent that programs a node which iptables-nft programs too says what that means."""
    site.host.run(["iptables-nft", "-t", "nat", "-N", "KUBE-SERVICES"])
    try:
        agent = site.start()
        agent.wait_for("another service proxy left ipv4 rules in nftables")
    finally:
        site.host.run(["iptables-nft", "-t", "nat", "-X", "KUBE-SERVICES"])
