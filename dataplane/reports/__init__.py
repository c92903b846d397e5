# SPDX-License-Identifier: Apache-2.0
"""What others learn of the agent's work: logs, metrics, health, Events.

- :mod:`dataplane.reports.observation`: what a sync tells, and to whom.
- :mod:`dataplane.reports.sync_account`: a sync as fields and in words.
- :mod:`dataplane.reports.sync_log`, :mod:`dataplane.reports.sync_reports`: those who listen.
- :mod:`dataplane.reports.source_observers`: those who listen to the sources.
- :mod:`dataplane.reports.metrics`: what is counted; ``metric_definitions`` has names and buckets,
  ``exposition`` the text, ``family_names`` how families are spelt in public.
- :mod:`dataplane.reports.service_metrics`, :mod:`dataplane.reports.conntrack_use`: what the kernel
  counts, read when a scrape asks for it.
- :mod:`dataplane.reports.health`: whether the rules are up to date.
- :mod:`dataplane.reports.events`, :mod:`dataplane.reports.cluster_events`: warnings for the owners
  of Services.
"""
