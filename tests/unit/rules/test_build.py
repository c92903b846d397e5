# SPDX-License-Identifier: Apache-2.0
"""Tables composed of Services, and what the builder remembers; see also tests/property."""

from __future__ import annotations

from dataclasses import replace

from rules.build import ServiceBuilder, build
from rules.compose import compose
from rules.ir import TableName
from rules.model import ObjectKey, ServiceState
from tests.address_plan import IPV4, AddressPlan
from tests.builders import WEB, context, local, remote, state

_DNS = ObjectKey("kube-system", "dns")


def test_an_empty_cluster_has_the_fixed_chains_only(plan: AddressPlan) -> None:
    """They stand before the first Service comes."""
    tables = build({}, context(plan))
    assert set(tables[TableName.NAT].chains) == {
        "KUBE-SERVICES",
        "KUBE-NODEPORTS",
        "KUBE-POSTROUTING",
        "KUBE-MARK-MASQ",
        "KUBE-MARK-DROP",
    }
    assert set(tables[TableName.FILTER].chains) == {
        "KUBE-SERVICES",
        "KUBE-EXTERNAL-SERVICES",
        "KUBE-NODEPORTS",
        "KUBE-FORWARD",
        "KUBE-PROXY-FIREWALL",
    }


def _states() -> dict[ObjectKey, ServiceState]:
    return {
        WEB: state(IPV4, local(IPV4.local_pod)),
        _DNS: state(IPV4, remote(IPV4.remote_pod), key=_DNS, cluster_ips=(IPV4.other_cluster_ip,)),
    }


def test_only_a_changed_service_is_rebuilt() -> None:
    """The other one's rules are the same object as before."""
    builder, states = ServiceBuilder(context(IPV4)), _states()
    before = builder.build(states)
    after = builder.build({**states, WEB: state(IPV4, local(IPV4.other_local_pod))})
    assert after[_DNS] is before[_DNS]
    assert after[WEB] != before[WEB]


def test_a_deleted_service_is_forgotten() -> None:
    """It leaves no chains, and comes back as if it were new."""
    builder, states = ServiceBuilder(context(IPV4)), _states()
    builder.build(states)
    assert set(builder.build({_DNS: states[_DNS]})) == {_DNS}
    assert set(builder.build(states)) == {WEB, _DNS}


def test_services_that_are_not_proxied_do_not_appear() -> None:
    """A headless Service adds nothing to walk over."""
    states = _states()
    headless = replace(states[WEB].service, cluster_ips=())
    states[WEB] = states[WEB]._replace(service=headless)
    assert set(ServiceBuilder(context(IPV4)).build(states)) == {_DNS}


def test_built_services_compose_to_what_a_build_from_scratch_gives() -> None:
    """Both ways lead to equal tables."""
    on_node, states = context(IPV4), _states()
    built = ServiceBuilder(on_node).build(states)
    assert compose(built, on_node) == build(states, on_node)


def test_a_defect_met_by_one_service_stops_no_other() -> None:
    """A Service that the code cannot cope with is named and keeps its rules; others are built."""
    first = state(IPV4, local(IPV4.local_pod))
    second = state(IPV4, local(IPV4.local_pod), key=_DNS)
    builder = ServiceBuilder(context(IPV4))
    before = builder.build({first.service.key: first})
    broken = replace(first.service, ports=(None,))  # type: ignore[arg-type] # a defect on purpose

    built = builder.build(
        {first.service.key: ServiceState(broken, first.slices), second.service.key: second}
    )

    assert built[first.service.key] is before[first.service.key]
    assert second.service.key in built
    assert list(builder.broken) == [first.service.key]
    assert "service default/web" in builder.broken[first.service.key]


def test_rules_that_stand_are_kept_if_those_for_another_context_are_broken() -> None:
    """A change of the node takes nothing from a Service that the code cannot cope with."""
    good, other = state(IPV4, local(IPV4.local_pod)), _states()[_DNS]
    before = ServiceBuilder(context(IPV4)).build({WEB: good, _DNS: other})
    broken = replace(good.service, ports=(None,))  # type: ignore[arg-type] # a defect on purpose
    builder = ServiceBuilder(context(IPV4, masquerade_all=True), before)

    built = builder.build({WEB: ServiceState(broken, good.slices), _DNS: other})

    assert built[WEB] is before[WEB]
    assert built[_DNS] != before[_DNS]
    assert list(builder.broken) == [WEB]


def test_standing_rules_do_not_outlive_their_service() -> None:
    """A Service that is gone when the context changes is not brought back by what it had."""
    good = state(IPV4, local(IPV4.local_pod))
    before = ServiceBuilder(context(IPV4)).build({WEB: good})
    builder = ServiceBuilder(context(IPV4, masquerade_all=True), before)
    broken = replace(good.service, ports=(None,))  # type: ignore[arg-type] # a defect on purpose

    assert builder.build({}) == {}
    assert builder.build({WEB: ServiceState(broken, good.slices)}) == {}
