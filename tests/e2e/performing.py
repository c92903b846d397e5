# SPDX-License-Identifier: Apache-2.0
"""What each step does."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from functools import singledispatch
from typing import TypeVar

from tests.cluster.questions import Questioner
from tests.e2e import expecting, schema
from tests.e2e.asking import questions_of
from tests.e2e.references import numbered
from tests.e2e.stage import Stage
from tests.kernel.node import PROGRAMS

Asked = TypeVar("Asked", schema.Probe, schema.Continue, schema.Health, schema.Rules)


@singledispatch
def perform(step: schema.Step, stage: Stage) -> None:
    """Do what a step says; return once what it expects is so."""
    raise TypeError(f"nobody knows how to do {type(step).__name__} on {stage.namespace}")


@perform.register
def _(step: schema.Apply, stage: Stage) -> None:
    stage.nodes_are_changed |= any(one.get("kind") == "Node" for one in step.objects)
    for number in range(1, step.times + 1):
        for manifest in numbered(step.objects, number):
            stage.cluster.api.apply(stage.resolved(manifest), stage.namespace)


@perform.register
def _(step: schema.Patch, stage: Stage) -> None:
    stage.nodes_are_changed |= step.kind == "Node"
    merge = stage.resolved(step.merge)
    stage.cluster.api.patch(step.api_version, step.kind, step.name, stage.namespace, merge)


@perform.register
def _(step: schema.Delete, stage: Stage) -> None:
    stage.nodes_are_changed |= step.kind == "Node"
    for number in range(1, step.times + 1):
        name = numbered(step.name, number)
        stage.cluster.api.delete(step.api_version, step.kind, name, stage.namespace)


@perform.register
def _(step: schema.Pods, stage: Stage) -> None:
    for pod in step.pods:
        stage.pods.add(pod)


@perform.register
def _(step: schema.SetPod, stage: Stage) -> None:
    stage.pods.change(step.name, ready=step.ready, terminating=step.terminating)


@perform.register
def _(step: schema.Ingress, stage: Stage) -> None:
    forms = [
        schema.IngressAddress(ip=one) if isinstance(one, str) else one for one in step.addresses
    ]
    ingress = [
        {"ip": stage.resolved(one.ip)} | ({"ipMode": one.ip_mode} if one.ip_mode else {})
        for one in forms
    ]
    status = {"status": {"loadBalancer": {"ingress": ingress}}}
    stage.cluster.api.patch("v1", "Service", step.service, stage.namespace, status)


@perform.register
def _(step: schema.Proxy, stage: Stage) -> None:
    for node in stage.nodes(step.nodes):
        proxy = stage.cluster.proxies[node]
        match step.action:
            case "stop":
                proxy.stop()
            case "kill":
                proxy.kill()
            case "start" | "restart":
                proxy.start(step.program, step.flags)


@perform.register
def _(step: schema.Iptables, stage: Stage) -> None:
    for family in step.families:
        for node in stage.nodes(step.nodes):
            for command in stage.resolved(step.commands, family):
                arguments = [PROGRAMS[family], "-w", *shlex.split(command)]
                stage.cluster.nodes[node].machine.run(arguments)


@perform.register
def _(step: schema.Restore, stage: Stage) -> None:
    options = ["--wait", *(["--noflush"] if step.keep else [])]
    for family in step.families:
        rules = shlex.quote(stage.resolved(step.rules, family))
        restore = shlex.join([f"{PROGRAMS[family]}-restore", *options])
        for node in stage.nodes(step.nodes):
            machine = stage.cluster.nodes[node].machine
            machine.run(["sh", "-c", f"printf %s {rules} | {restore}"])


@perform.register
def _(step: schema.ApiServer, stage: Stage) -> None:
    if step.action in ("stop", "restart"):
        stage.cluster.control_plane.kill_apiserver()
        stage.api_server_is_up = False
    if step.action in ("start", "restart"):
        stage.cluster.control_plane.start_apiserver()
        stage.api_server_is_up = True


@perform.register
def _(step: schema.Wait, _stage: Stage) -> None:
    time.sleep(step.seconds)


@perform.register
def _(step: schema.Loop, stage: Stage) -> None:
    loop = [Questioner(one.target, one.ask) for one in questions_of(step, stage)]
    stage.loops[step.name] = loop
    for questioner in loop:
        questioner.start()
    for questioner in loop:
        questioner.wait_for_more()


@perform.register
def _(step: schema.Connect, stage: Stage) -> None:
    expecting.open_connections(step, stage)


@perform.register
def _(step: schema.EndLoop, stage: Stage) -> None:
    expecting.end_loop(step, stage)


def _if_asked(judge: Callable[[Asked, Stage], None]) -> Callable[[Asked, Stage], None]:
    """``judge``, but for steps that the program of this run is not held to."""

    def judge_if_asked(step: Asked, stage: Stage) -> None:
        if stage.is_asked(step.differences):
            judge(step, stage)

    return judge_if_asked


perform.register(schema.Probe, _if_asked(expecting.await_probe))
perform.register(schema.Continue, _if_asked(expecting.continue_connection))
perform.register(schema.Health, _if_asked(expecting.await_health))
perform.register(schema.Rules, _if_asked(expecting.await_rules))
