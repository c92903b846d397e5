# SPDX-License-Identifier: Apache-2.0
"""``dataplane run`` with manifests: programs the node and follows the files."""

from __future__ import annotations

from lab import wait_until
from rules.ir import TableName
from tests.address_plan import IPV4, IPV6
from tests.apiserver.objects import endpoint_slice, node, service
from tests.apiserver.store import JsonObject
from tests.command.site import NODE_NAME, Site

_ROUTE_LOCALNET = "net.ipv4.conf.all.route_localnet"


def _slice_of(*addresses: str, family: str = "IPv4") -> JsonObject:
    one = endpoint_slice(name=f"web-{family.lower()}")
    one["addressType"] = family
    one["endpoints"] = [{"addresses": [address]} for address in addresses]
    return one


def test_both_families_are_programmed(site: Site) -> None:
    """A dual-stack Service from several files is served in IPv4 and IPv6."""
    site.write("node.yaml", node(NODE_NAME))
    site.write("web.yaml", service(clusterIPs=["10.96.0.10", "fd00:10:96::a"]))
    site.write("four.yaml", _slice_of("10.244.1.2"))
    site.write("six.yaml", _slice_of("fd00:10:244:1::2", family="IPv6"))

    agent = site.start()

    site.wait_for_destinations("10.244.1.2:8080", "[fd00:10:244:1::2]:8080")
    agent.wait_for("programming ipv4 and ipv6 for node node-a")
    assert agent.is_running


def test_nothing_of_kube_proxy_s_is_left(site: Site) -> None:
    """Its chain in the mangle table goes too, once the rules stand; kubelet's stay."""
    for plan in (IPV4, IPV6):
        for chain in ("KUBE-PROXY-CANARY", "KUBE-KUBELET-CANARY"):
            site.node.iptables(plan, "-t", "mangle", "-N", chain)
    site.write("web.yaml", service(), _slice_of("10.244.1.2"))

    agent = site.start()

    for family in ("ipv4", "ipv6"):
        agent.wait_for(f"removed kube-proxy's KUBE-PROXY-CANARY from the {family} table mangle")
    for plan in (IPV4, IPV6):
        chains = {chain for table, chain in site.node.contents(plan) if table == "mangle"}
        assert {chain for chain in chains if "KUBE" in chain} == {"KUBE-KUBELET-CANARY"}


def test_edits_are_followed(site: Site) -> None:
    """Changed, new and removed files change the rules; what else stands there stays."""
    site.write("web.yaml", service(), _slice_of("10.244.1.2"))
    site.start()
    site.wait_for_destinations("10.244.1.2:8080")

    site.write("web.yaml", service(), _slice_of("10.244.1.2", "10.244.2.6"))
    site.wait_for_destinations("10.244.1.2:8080", "10.244.2.6:8080")

    more = site.write(
        "more.yaml",
        service("more", clusterIP="10.96.0.11", clusterIPs=["10.96.0.11"]),
        endpoint_slice("more-1", "more", "10.244.3.9"),
    )
    site.wait_for_destinations("10.244.1.2:8080", "10.244.2.6:8080", "10.244.3.9:8080")

    more.unlink()
    site.wait_for_destinations("10.244.1.2:8080", "10.244.2.6:8080")


def test_a_service_without_endpoints_is_refused_by_the_node(site: Site) -> None:
    """A Service that has no slice gets its REJECT rule."""
    site.write("web.yaml", service())

    site.start()

    wait_until(
        "the service is rejected",
        lambda: any(
            "default/web has no endpoints" in rule
            for rule in site.node.contents(IPV4).get(("filter", "KUBE-SERVICES"), [])
        ),
    )


def test_drift_is_repaired_within_the_sync_period(site: Site) -> None:
    """A flushed table and a replaced rule come back by themselves, and the log tells of it."""
    site.write("web.yaml", service(), _slice_of("10.244.1.2"))
    agent = site.start()
    site.wait_for_destinations("10.244.1.2:8080")
    before = site.node.contents(IPV4)

    site.node.iptables(IPV4, "-t", "nat", "-F")
    wait_until("the nat table is repaired", lambda: site.node.contents(IPV4) == before)

    replaced = ("-R", "KUBE-MARK-MASQ", "1", "-j", "MARK", "--set-xmark", "0x1/0x1")
    site.node.iptables(IPV4, "-t", TableName.NAT.value, *replaced)
    wait_until("the mark is repaired", lambda: site.node.contents(IPV4) == before)

    agent.wait_for("ipv4 table nat: somebody else had changed our rules")


def test_localhost_node_ports_need_a_setting_of_the_kernel(site: Site) -> None:
    """The agent sets route_localnet, but not before the rule stands that makes that safe."""
    site.host.set_sysctl(_ROUTE_LOCALNET, "0")
    site.write("web.yaml", service(), _slice_of("10.244.1.2"))

    site.start()

    wait_until("the setting is made", lambda: site.host.sysctl(_ROUTE_LOCALNET) == "1")
    assert site.node.chain(IPV4, TableName.FILTER, "KUBE-FIREWALL") != []


def test_without_localhost_node_ports_the_setting_is_left_alone(site: Site) -> None:
    """With the feature off, neither the setting nor kubelet's chain is touched."""
    site.host.set_sysctl(_ROUTE_LOCALNET, "0")
    site.write("web.yaml", service(), _slice_of("10.244.1.2"))

    agent = site.start("--iptables-localhost-nodeports=false")

    agent.wait_for("synced ipv6")
    assert site.destinations == {"10.244.1.2:8080"}
    assert site.host.sysctl(_ROUTE_LOCALNET) == "0"
    for plan in (IPV4, IPV6):
        assert ("filter", "KUBE-FIREWALL") not in site.node.contents(plan)
