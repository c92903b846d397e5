# SPDX-License-Identifier: Apache-2.0
"""The status page: what this node does, for a browser.

Read-only, and out of the sync loop's way: the loop leaves frozen values behind, and what has to be
read from the kernel is read by a thread of its own, one question at a time.

- :mod:`dataplane.status.board`: what the sync loop has left, and its last syncs.
- :mod:`dataplane.status.inspection`: the same beside the kernel: traffic, differences, traces.
- :mod:`dataplane.status.worker`: the thread that this is done on.
- :mod:`dataplane.status.query`: what a browser asks for, taken strictly.
- :mod:`dataplane.status.pages`: paths and their answers; the files for the browser are in
  ``dataplane/serving/static``.
- :mod:`dataplane.status.guard`: who may ask, and what a browser may do with the answers.
"""
