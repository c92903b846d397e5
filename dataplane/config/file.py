# SPDX-License-Identifier: Apache-2.0
"""The configuration file: what it says, checked."""

from __future__ import annotations

from pathlib import Path

from dataplane.config.checks import problems_of
from dataplane.config.document import read_configuration
from dataplane.config.errors import ConfigError
from dataplane.config.types import KubeProxyConfiguration


def read_usable_configuration(path: Path) -> KubeProxyConfiguration:
    """The configuration in the file ``path``, with kube-proxy's defaults.

    Raises:
        ConfigError: it cannot be read or decoded, or a value in it cannot be used.
    """
    configuration = read_configuration(path)
    if problems := list(problems_of(configuration)):
        raise ConfigError(str(path), problems)
    return configuration
