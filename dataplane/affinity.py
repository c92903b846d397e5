# SPDX-License-Identifier: Apache-2.0
"""Where session affinity remembers clients on this node: what the operator chose, or what can be.

Sets are the better choice at any size: lists forget clients as soon as an endpoint has more than a
hundred of them. So nothing but a kernel without sets speaks for lists.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from dataplane.errors import KernelUnusableError
from dataplane.kernel.set_support import why_without_sets
from dataplane.settings import AffinityChoice, Settings
from rules.affinity import AffinityBackend
from rules.ir import Family

_log = logging.getLogger(__name__)


def with_affinity_of_kernel(settings: Settings, families: Iterable[Family]) -> Settings:
    """``settings`` with the backend that this kernel has for all of ``families``.

    Raises:
        KernelUnusableError: the operator insists on sets, and the kernel lacks something for them.
    """
    if settings.affinity is AffinityChoice.RECENT:
        return settings
    lacking = next(filter(None, map(why_without_sets, families)), "")
    if not lacking:
        options = replace(settings.options, affinity_backend=AffinityBackend.IPSET)
        return replace(settings, options=options)
    if settings.affinity is AffinityChoice.IPSET:
        raise KernelUnusableError(
            f"this kernel cannot remember clients in sets: {lacking}; load the modules xt_set and "
            "ip_set_hash_ip, or leave out --affinity-backend=ipset"
        )
    _log.warning(
        "this kernel cannot remember clients in sets: %s; session affinity uses -m recent, which "
        "keeps the last 100 clients of an endpoint",
        lacking,
    )
    return settings
