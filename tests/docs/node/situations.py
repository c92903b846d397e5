# SPDX-License-Identifier: Apache-2.0
"""The trouble that a node has when the reader comes to a section of a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tests.docs.node.stand import Stand

_FILTER: Final = ("iptables-legacy", "-t", "filter")
_NAT: Final = ("iptables-legacy", "-t", "nat")


class Situation(NamedTuple):
    """What happened before the reader came."""

    before: Callable[[Stand], None] = lambda _: None
    """Before the agent was started."""
    flags: tuple[str, ...] = ()
    """That it was started with, besides those that it always has."""
    after: Callable[[Stand], None] = lambda _: None


def _flush(stand: Stand) -> None:
    """Somebody takes the rules of a chain away, and the agent repairs it."""
    stand.node.run([*_NAT, "-F", "KUBE-MARK-MASQ"])
    stand.wait_for("somebody else had changed our rules")


def _flush_unseen(stand: Stand) -> None:
    """Somebody takes the rules of a chain away, and no agent is there to see it."""
    stand.stop()
    stand.node.run([*_NAT, "-F", "KUBE-MARK-MASQ"])


def _close_the_node(stand: Stand) -> None:
    """A host firewall drops what comes from outside to web."""
    rule = "-s 203.0.113.0/24 -p tcp -m tcp --dport 80 -j DROP"
    stand.node.run([*_FILTER, "-I", "FORWARD", *rule.split()])


def _leave_nft_rules(stand: Stand) -> None:
    stand.node.run(["iptables-nft", "-t", "nat", "-N", "KUBE-SERVICES"])


def _hold_the_lock(stand: Stand) -> None:
    """Somebody holds the xtables lock while a change comes."""
    holder = ["flock", str(stand.node.lock_file), "sleep", "60"]
    stand.node.popen(holder, log=stand.manifests.with_name("holder.log"))
    (stand.manifests / "idle.yaml").unlink()
    stand.wait_for("another process held the xtables lock")


def _break_a_manifest(stand: Stand) -> None:
    path = stand.manifests / "web.yaml"
    path.write_text(path.read_text().replace("port: 80\n", "port: 80000\n", 1))
    stand.wait_for("left out")


SITUATIONS: Final[Mapping[tuple[str, str], Situation]] = {
    ("troubleshooting.md", "A Service does not answer"): Situation(after=_close_the_node),
    ("troubleshooting.md", "Rules are gone or changed"): Situation(
        flags=("--iptables-sync-period=1s",), after=_flush
    ),
    ("troubleshooting.md", "What would a sync change?"): Situation(after=_flush_unseen),
    ("moving.md", "What stays on the node"): Situation(after=Stand.stop),
    ("troubleshooting.md", "The other iptables variant is in use"): Situation(
        before=_leave_nft_rules
    ),
    ("troubleshooting.md", "Syncs fail"): Situation(after=_hold_the_lock),
    ("troubleshooting.md", "Somebody holds the xtables lock"): Situation(after=_hold_the_lock),
    ("troubleshooting.md", "An object is left out"): Situation(after=_break_a_manifest),
}
"""By the document's file and the heading; in all other sections the node is well."""
