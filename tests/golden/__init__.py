# SPDX-License-Identifier: Apache-2.0
"""Whole clusters as manifests, and the rules that they must give.

Each folder of ``cases`` holds ``input.yaml`` (what ``dataplane dump --manifests`` reads), possibly
``options.yaml`` (fields of ProxyOptions, and ``node_port_addresses``), and the expected files.
"""
