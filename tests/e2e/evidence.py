# SPDX-License-Identifier: Apache-2.0
"""What is kept of a scenario that failed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import yaml

from rules.ir import Family
from tests.e2e.expecting import saved
from tests.e2e.stage import Stage

_KINDS: Final = (("v1", "Service"), ("discovery.k8s.io/v1", "EndpointSlice"), ("v1", "Pod"))


def keep_evidence(stage: Stage, folder: Path, failure: str) -> None:
    """Write rules, logs and objects to ``folder``, in place of those of an earlier run."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "failure.txt").write_text(f"{failure}\n")
    for name, node in stage.cluster.nodes.items():
        for family in Family:
            lines = "\n".join(saved(node.machine, family))
            (folder / f"{name}.{family.value}.rules").write_text(f"{lines}\n")
    stage.cluster.keep_logs(folder)
    if stage.api_server_is_up:
        objects = {
            kind: stage.cluster.api.list(version, kind, stage.namespace) for version, kind in _KINDS
        }
        (folder / "objects.yaml").write_text(yaml.safe_dump(objects, sort_keys=False))
