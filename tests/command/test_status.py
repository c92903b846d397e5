# SPDX-License-Identifier: Apache-2.0
"""The status page of a running agent: what it counts, compares and follows in the kernel."""

from __future__ import annotations

import json
import socket
from typing import Any, Final

import pytest

from lab import wait_until
from tests.apiserver.objects import endpoint_slice, service
from tests.command.http import METRICS_PORT, get, wait_until_verified
from tests.command.site import Site

_VIP: Final = ("10.96.0.10", 80)
_ENDPOINT: Final = "10.244.1.2"
_DROP: Final = ("-p", "tcp", "--dport", "8080", "-j", "DROP")
_TRACE: Final = "trace?from=10.244.1.9&to=10.96.0.10:80&in=eth0"


def _api(site: Site, question: str, status: int = 200) -> Any:  # noqa: ANN401 - any JSON
    answer = get(site.host, METRICS_PORT, f"/status/api/{question}")
    assert answer.status == status, answer
    return json.loads(answer.body)


def _start(site: Site, *flags: str) -> None:
    site.host.ip(f"address replace {_ENDPOINT}/32 dev lo", f"route replace {_VIP[0]}/32 dev lo")
    site.write("web.yaml", service(), endpoint_slice(address=_ENDPOINT))
    site.write("other.yaml", service("other", "shop", clusterIPs=["10.96.0.99"]))
    site.start(*flags).wait_for("synced ipv6")


def _start_quietly(site: Site) -> None:
    """An agent that will not look at all rules for a while."""
    _start(site, "--iptables-sync-period=5m")
    wait_until_verified(site.host)


def _connect(site: Site, times: int) -> None:
    """Nobody listens: what is counted is the attempt."""
    for _ in range(times):
        with site.host.entered(), pytest.raises(ConnectionRefusedError):
            socket.create_connection(_VIP, timeout=2)


def test_services_are_told_with_their_connections(site: Site) -> None:
    """Connections are counted by service port and endpoint, and a search finds by either."""
    _start(site)
    assert _api(site, "services")["total"] == 2

    _connect(site, 7)

    def counted() -> Any:  # noqa: ANN401 - any JSON
        return _api(site, f"services?search={_ENDPOINT}")["services"]

    wait_until("the connections are counted", lambda: counted()[0]["connections"] == 7)
    (web,) = counted()
    assert web["servicePort"] == "default/web"
    assert web["endpointCount"] == 1
    assert web["endpoints"][0]["connections"] == 7
    assert web["connectionsPerSecond"] is not None
    found = _api(site, "services?search=SHOP&order=rate&limit=1")
    assert (found["total"], found["found"]) == (2, 1)
    assert found["services"][0]["servicePort"] == "shop/other"


def test_differences_are_told_and_then_repaired(site: Site) -> None:
    """What stands in the kernel is as committed, until somebody deletes a rule."""
    _start_quietly(site)
    same = _api(site, "diff")
    assert (same["same"], same["chains"], same["isStill"]) == (True, 0, True)
    assert same["families"] == ["ipv4", "ipv6"]

    site.host.run(["iptables-legacy", "-w", "-t", "nat", "-F", "KUBE-MARK-MASQ"])

    wait_until("the difference is told", lambda: not _api(site, "diff")["same"])
    (found,) = _api(site, "diff")["differences"]
    assert (found["family"], found["table"], found["chain"]) == ("ipv4", "nat", "KUBE-MARK-MASQ")
    assert found["missing"] == ["-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000"]


def test_a_packet_through_committed_rules_and_through_the_kernels(site: Site) -> None:
    """Both lead to the endpoint; only the kernel's have the rule that somebody put there."""
    _start_quietly(site)

    def ends(which: str) -> list[tuple[str, str]]:
        paths = _api(site, f"{_TRACE}&rules={which}")["paths"]
        return [(path["fate"], path["endpoint"]) for path in paths]

    endpoint = f"{_ENDPOINT}:8080"
    assert ends("desired") == ends("live") == [("delivered", endpoint)]
    site.host.run(["iptables-legacy", "-w", "-I", "INPUT", *_DROP])
    try:
        assert ends("desired") == [("delivered", endpoint)]
        assert ends("live") == [("dropped", endpoint)]
    finally:
        site.host.run(["iptables-legacy", "-w", "-D", "INPUT", *_DROP])


def test_the_list_of_syncs_grows_with_changes(site: Site) -> None:
    """A change of endpoints is the latest sync in the list, with its names and phases."""
    _start_quietly(site)
    site.write("web.yaml", service(), endpoint_slice(address="10.244.1.3"))
    site.wait_for_destinations("10.244.1.3:8080")

    def names() -> list[str]:
        return [name for one in _api(site, "syncs")["syncs"] for name in one["endpoints"]["names"]]

    wait_until("the sync is told", lambda: "+default/web 10.244.1.3" in names())
    changed = next(one for one in _api(site, "syncs")["syncs"] if one["endpoints"]["added"])
    assert changed["phases"]["nat"]["kernel"] > 0


def test_looking_does_not_disturb_syncs(site: Site) -> None:
    """While the kernel is compared again and again, changes are followed, and none is repaired."""
    _start(site, "--iptables-min-sync-period=10ms")
    for last in range(2, 22):
        site.write("web.yaml", service(), endpoint_slice(address=f"10.244.1.{last}"))
        assert _api(site, "diff")["isStill"] in (True, False)
        site.wait_for_destinations(f"10.244.1.{last}:8080")

    wait_until("all is as committed", lambda: _api(site, "diff")["same"])
    assert not any(
        table["repairs"]["rulesAdded"]
        for one in _api(site, "syncs")["syncs"]
        for table in one["tables"].values()
    )


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        ((), 200),
        (("--status-page=false",), 404),
        (("--metrics-bind-address=0.0.0.0",), 404),
        (("--metrics-bind-address=0.0.0.0", "--status-page"), 200),
        (("--metrics-bind-address=[::1]:10249",), 200),
    ],
)
def test_where_the_page_is(site: Site, flags: tuple[str, ...], status: int) -> None:
    """It is there by default where only this machine reaches it, and else as the flag says."""
    _start(site, *flags)
    address = "::1" if "[::1]" in "".join(flags) else "127.0.0.1"

    assert get(site.host, METRICS_PORT, "/status", address=address).status == status
    assert get(site.host, METRICS_PORT, "/metrics", address=address).status == 200
