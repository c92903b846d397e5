# SPDX-License-Identifier: Apache-2.0
"""Rules in the kernel: how they are encoded, read back, compared and committed.

- :mod:`dataplane.kernel.layout`, :mod:`dataplane.kernel.encode`,
  :mod:`dataplane.kernel.encode_chain`: rules to the kernel's bytes.
- :mod:`dataplane.kernel.decode`, :mod:`dataplane.kernel.live`: the way back, for whoever follows a
  packet.
- :mod:`dataplane.kernel.canonical`: what the kernel gives back, made comparable.
- :mod:`dataplane.kernel.libiptc`: the one module that uses python-iptables.
- :mod:`dataplane.kernel.client_sets`, :mod:`dataplane.kernel.set_commands`,
  :mod:`dataplane.kernel.set_messages`: the sets that rules name.
- :mod:`dataplane.kernel.set_support`: whether a kernel has them.
- :mod:`dataplane.kernel.table_info`: how large a table is, asked without reading it.
- :mod:`dataplane.kernel.xtables_lock`: the lock that all writers of tables share.
- :mod:`dataplane.kernel.retention`: what an earlier agent left that stays.
- :mod:`dataplane.kernel.canary`: what kube-proxy leaves in a table that is not ours.
- :mod:`dataplane.kernel.transaction`: one table, from read to commit.
- :mod:`dataplane.kernel.table_reading`, :mod:`dataplane.kernel.inspection`,
  :mod:`dataplane.kernel.snapshot`: looking at a whole table without libiptc and without the lock.
- :mod:`dataplane.kernel.counters`: what rules have counted.
- :mod:`dataplane.kernel.carry_over`: counters of rules that go, for those in their place.
- :mod:`dataplane.kernel.applier`: desired tables into the kernel, with retries.
- :mod:`dataplane.kernel.table_times`: how long its parts took.
"""
