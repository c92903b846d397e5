# SPDX-License-Identifier: Apache-2.0
"""KubeProxyConfiguration, version kubeproxy.config.k8s.io/v1alpha1: what ``--config`` reads.

Flags are another way to write the same fields, so both go the same way: ``document`` decodes them
to the ``types``, ``defaults`` fills in what is empty, ``checks`` refuses what cannot be used and
``remarks`` tells what is accepted without effect. ``field_flags`` lists the flags. The rest of the
program reads :class:`dataplane.settings.Settings`, which ``settings`` makes from the configuration.
"""
