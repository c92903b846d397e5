# SPDX-License-Identifier: Apache-2.0
"""The files of these tests, and configurations made of a few fields."""

from __future__ import annotations

from pathlib import Path

from dataplane.config.defaults import with_defaults
from dataplane.config.document import with_fields
from dataplane.config.types import KubeProxyConfiguration

FILES = Path(__file__).parent / "files"
HEADER = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"


def configuration(**fields: object) -> KubeProxyConfiguration:
    """Defaults, but for ``fields``: paths with ``__`` for the point, such as ``iptables__x``."""
    base = with_defaults(KubeProxyConfiguration())
    values = {path.replace("__", "."): value for path, value in fields.items()}
    return with_fields(base, values, "test")
