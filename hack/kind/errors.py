# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a kind cluster, each with a message that says what to do."""

from __future__ import annotations

from lab import LabError


class KindError(LabError):
    """Any error below."""


class UnusableKubeconfigError(KindError):
    """A kubeconfig does not say where the API server is."""


class AskerEndedError(KindError):
    """The program that asks in a pod has ended before it answered."""
