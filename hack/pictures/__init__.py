# SPDX-License-Identifier: Apache-2.0
"""Pictures of a packet's way, drawn from the rules that the code builds.

``make pictures`` writes them to ``hack/docs/pictures``; a test compares them with what is there.

- :mod:`pictures.scenes`: which packets, through the rules of which Services.
- :mod:`pictures.story`: what a picture shows: built-in chains, the chains under them, rules.
- :mod:`pictures.words`: what a rule asks and does, in few words.
- :mod:`pictures.svg`: a story as SVG.
"""
