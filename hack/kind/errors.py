# SPDX-License-Identifier: Apache-2.0
"""What can go wrong before the scenarios run, each with a message that says what to do."""

from __future__ import annotations


class KindError(Exception):
    """Any error below."""


class UnusableKubeconfigError(KindError):
    """A kubeconfig does not say where the API server is."""


class AskerEndedError(KindError):
    """The program that asks in a pod has ended before it answered."""
