# SPDX-License-Identifier: Apache-2.0
"""Connection tracking: the end of entries that outlived their endpoints.

- :mod:`dataplane.conntrack.wire`: entries and requests as the kernel's messages.
- :mod:`dataplane.conntrack.table`: the kernel's table, read and pruned through netlink.
- :mod:`dataplane.conntrack.reconciler`: when to look for stale entries, and which ones go.
- :mod:`dataplane.conntrack.background`: the thread that does it.
- :mod:`dataplane.conntrack.observer`: what tells it of each sync.
"""
