# SPDX-License-Identifier: Apache-2.0
"""The parts of a scenario, as its file has them. ``README.md`` says how to use them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from rules.ir import Family

Manifest = dict[str, Any]
Names = str | tuple[str, ...]
"""One or more: a file need not write a list of one."""
Count = Annotated[int, Meta(ge=1, le=1000)]
PortNumber = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(ge=0, le=120)]
ScenarioName = Annotated[str, Meta(pattern="^[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?$")]
Text = Annotated[str, Meta(min_length=1)]

DEFAULT_SECONDS = 15.0


class Program(Enum):
    """Who can program the nodes."""

    DATAPLANE = "dataplane"
    KUBE_PROXY = "kube-proxy"


class Requirement(Enum):
    """What not every cluster has that scenarios can run on."""

    IPV6 = "ipv6"
    PROXY_CONTROL = "proxy-control"
    API_SERVER_CONTROL = "api-server-control"
    NODE_RULES = "node-rules"


class Form(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A mapping of the file; a field that is not known is an error."""


class Expectation(Form, frozen=True, kw_only=True):
    """What becomes of the questions of one probe: exactly one of the first three is given."""

    pods: tuple[str, ...] = ()
    """They all answer, and nobody else."""
    within: tuple[str, ...] = ()
    """Some of them answer, and nobody else."""
    result: Literal["refused", "dropped", "unreachable", "unanswered"] | None = None
    """Nobody answers; ``unanswered`` leaves open how."""
    even: bool = False
    """All of ``pods`` answer about equally often."""
    same: bool = False
    """One and the same pod answers all questions."""
    source: str = ""
    """Whom the pods see: ``kept`` (who asked), ``masqueraded`` (a node), or an address."""

    def __post_init__(self) -> None:
        """Refuse what cannot be judged."""
        if sum(map(bool, (self.pods, self.within, self.result))) != 1:
            raise ValueError("give exactly one of pods, within and result")
        if self.result and (self.even or self.same or self.source):
            raise ValueError("even, same and source say something of answers: result says none")
        if self.even and not self.pods:
            raise ValueError("even needs pods")
        if self.same and len(self.pods) > 1:
            raise ValueError("same needs within: it says that only one pod answers")


class Difference(Form, frozen=True, kw_only=True):
    """Where a program does something else by design, and why."""

    reason: Text
    expect: Expectation | None = None
    """What it does, for a probe; if absent, this is not asked of it."""


Differences = dict[Program, Difference]


class Pod(Form, frozen=True, kw_only=True):
    """A pod with a server that tells its name and whom it saw, by TCP and UDP on each port."""

    name: ScenarioName
    node: str
    labels: dict[str, str] = {}
    ports: dict[str, PortNumber] = field(default_factory=lambda: {"http": 8080})
    """By name, for named target ports."""
    ready: bool = True
    terminating: bool = False
    host_network: bool = False


class Step(
    Form, frozen=True, kw_only=True, tag_field="do", tag=lambda name: name[0].lower() + name[1:]
):
    """One step; ``do`` says which."""

    note: str = ""
    """What it is for, told when it fails."""


class Apply(Step, frozen=True, kw_only=True):
    """Create or change objects, with the status that they carry."""

    objects: Annotated[tuple[Manifest, ...], Meta(min_length=1)]
    times: Count = 1
    """Do so for this many of each; ``<number>`` tells them apart."""


class Patch(Step, frozen=True, kw_only=True):
    """Change an object by a JSON merge patch: null removes a field."""

    kind: str
    name: str
    merge: Manifest
    api_version: str = "v1"


class Delete(Step, frozen=True, kw_only=True):
    """Delete an object; a pod goes at once."""

    kind: str
    name: str
    api_version: str = "v1"
    times: Count = 1
    """As for ``apply``."""


class Pods(Step, frozen=True, kw_only=True):
    """Add pods."""

    pods: Annotated[tuple[Pod, ...], Meta(min_length=1)]


class SetPod(Step, frozen=True, kw_only=True):
    """Change the state of a pod; what is not given stays."""

    name: str
    ready: bool | None = None
    terminating: Literal[True] | None = None


class IngressAddress(Form, frozen=True, kw_only=True):
    """An address that a load balancer has given to a Service."""

    ip: str
    ip_mode: Literal["VIP", "Proxy"] | None = None


class Ingress(Step, frozen=True, kw_only=True):
    """Give a Service these load-balancer addresses, as MetalLB does; none takes them away."""

    service: str
    addresses: tuple[str | IngressAddress, ...]


class Proxy(Step, frozen=True, kw_only=True):
    """Do something to the program that serves the nodes; all nodes, unless some are named."""

    action: Literal["stop", "kill", "start", "restart"]
    nodes: Names = ()
    program: Program | None = None
    """Start this one, whatever runs else; the end of the scenario brings back the usual one."""
    flags: tuple[str, ...] = ()
    """Start it with these flags; the end of the scenario brings back the usual ones."""


class Iptables(Step, frozen=True, kw_only=True):
    """Do to the rules of nodes what somebody else might do; an argument list each."""

    nodes: Names
    commands: Annotated[tuple[str, ...], Meta(min_length=1)]
    families: tuple[Family, ...] = (Family.IPV4,)


class Restore(Step, frozen=True, kw_only=True):
    """Give rules to iptables-restore on nodes, as another program might."""

    nodes: Names
    rules: Text
    keep: bool = False
    """Leave what they do not name, instead of replacing their tables."""
    families: tuple[Family, ...] = (Family.IPV4,)


class ApiServer(Step, frozen=True, kw_only=True):
    """Stop the API server as a crash would, or start it."""

    action: Literal["stop", "start", "restart"]


class Wait(Step, frozen=True, kw_only=True):
    """Let time pass, where time is what the scenario is about."""

    seconds: Seconds
    reason: Text


class Asking(Step, frozen=True, kw_only=True):
    """What all steps that ask have in common."""

    source: Names = field(name="from")
    """``client``, ``other-client``, ``node/NAME`` or ``pod/NAME``."""
    to: Names
    """``ADDRESS:PORT``, with references."""
    protocol: Literal["TCP", "UDP"] = "TCP"
    families: tuple[Family, ...] = (Family.IPV4,)
    via: str = ""
    """The node that clients send to; the first, if not given."""


class Probe(Asking, frozen=True, kw_only=True):
    """Ask, each time through a new connection, until the outcomes are as expected and stay so."""

    expect: Expectation
    count: Count | None = None
    """How often each time; by default enough to meet all pods."""
    source_port: PortNumber | None = None
    """Ask from this port each time: for UDP, always the same flow."""
    together: bool = False
    """Judge the answers to all questions as one, not each asker and address by itself."""
    seconds: Seconds = DEFAULT_SECONDS
    """How long it may take until the outcomes are as expected."""
    hold_seconds: Seconds = 0.0
    """How long they must stay so; at least one more round."""
    differences: Differences = field(name="except", default={})

    def __post_init__(self) -> None:
        """Refuse what cannot be judged."""
        if self.together and self.expect.source:
            raise ValueError("together says nothing of source: each asker has its own")


class Loop(Asking, frozen=True, kw_only=True):
    """Ask again and again beside the steps that follow."""

    name: str


class EndLoop(Step, frozen=True, kw_only=True):
    """End a loop: no more of its questions than these may have failed."""

    name: str
    failures: Annotated[int, Meta(ge=0)] = 0
    differences: Differences = field(name="except", default={})


class Connect(Asking, frozen=True, kw_only=True):
    """Open a connection that later steps use; it must work at once."""

    name: str


class Continue(Step, frozen=True, kw_only=True):
    """Ask through an open connection: the pod that it leads to must answer."""

    name: str
    expect: Expectation
    differences: Differences = field(name="except", default={})


class Health(Step, frozen=True, kw_only=True):
    """Ask the health-check port of a Service on nodes, from the client."""

    nodes: Names
    port: str
    status: int
    local_endpoints: int | None = None
    families: tuple[Family, ...] = (Family.IPV4,)
    seconds: Seconds = DEFAULT_SECONDS
    differences: Differences = field(name="except", default={})


class Rules(Step, frozen=True, kw_only=True):
    """Look for rules and chains on nodes: regular expressions for lines of iptables-save."""

    nodes: Names = ()
    """All, unless some are named."""
    families: tuple[Family, ...] = (Family.IPV4,)
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    seconds: Seconds = DEFAULT_SECONDS
    differences: Differences = field(name="except", default={})


AnyStep = (
    Apply
    | Patch
    | Delete
    | Pods
    | SetPod
    | Ingress
    | Proxy
    | Iptables
    | Restore
    | ApiServer
    | Wait
    | Probe
    | Loop
    | EndLoop
    | Connect
    | Continue
    | Health
    | Rules
)


class Scenario(Form, frozen=True, kw_only=True):
    """One test."""

    name: ScenarioName
    """Also that of its Kubernetes namespace."""
    description: Text
    """What it proves, in a sentence."""
    requires: tuple[Requirement, ...] = ()
    pods: tuple[Pod, ...] = ()
    objects: tuple[Manifest, ...] = ()
    steps: Annotated[tuple[AnyStep, ...], Meta(min_length=1)]
    differences: Differences = field(name="except", default={})
    """Programs that it is not run on, and why."""


def as_tuple(names: Names) -> tuple[str, ...]:
    """One name, or several, as several."""
    return (names,) if isinstance(names, str) else names
