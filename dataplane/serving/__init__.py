# SPDX-License-Identifier: Apache-2.0
"""The HTTP servers of the agent: health, metrics, and health-check node ports.

One thread serves all of them, and it only reads what the sync loop has left for it: the sync loop
never waits for a client. ``loop`` is that thread, ``listener`` a socket that it listens on,
``connection`` speaks HTTP (with h11), and ``pages`` and ``health_checks`` know what to answer.
"""
