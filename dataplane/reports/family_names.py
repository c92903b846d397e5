# SPDX-License-Identifier: Apache-2.0
"""How Kubernetes spells the IP families."""

from __future__ import annotations

from typing import Final

from rules.ir import Family

FAMILY_NAMES: Final = {Family.IPV4: "IPv4", Family.IPV6: "IPv6"}
