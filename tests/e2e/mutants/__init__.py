# SPDX-License-Identifier: Apache-2.0
"""Deliberate faults of the agent, each of which some scenario must catch.

A scenario that cannot fail proves nothing. ``make e2e-mutants`` plays the agent with one fault at a
time; a fault that no scenario notices makes it fail. Read in this order:

- :mod:`tests.e2e.mutants.mutant`: what a mutant is; :mod:`tests.e2e.mutants.faults` are the ways to
  put a fault into the agent's parts without touching its code.
- :mod:`tests.e2e.mutants.catalogue`: all mutants, from one module for each kind of fault.
- :mod:`tests.e2e.mutants.__main__`: the agent's command with the fault in it.
- :mod:`tests.e2e.mutants.hunting`: which scenario catches a mutant.
"""
