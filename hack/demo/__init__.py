# SPDX-License-Identifier: Apache-2.0
"""``make demo``: the agent at work on real traffic, told as a story that checks itself.

- :mod:`demo.scenario`: the story, section by section.
- :mod:`demo.agent`: the agent as a process on the node.
- :mod:`demo.chains`: what the kernel holds, and its counters.
- :mod:`demo.traffic`: connections, who answered them and whom the pods saw.
- :mod:`demo.service`: the Service of the story, and its manifests.
- :mod:`demo.page`: how the story looks.
"""
