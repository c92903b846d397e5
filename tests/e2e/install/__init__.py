# SPDX-License-Identifier: Apache-2.0
"""``hack/install.sh`` with a real kubectl, a real API server and the real DaemonSet controller.

- :mod:`tests.e2e.install.kubeadm`: kube-proxy as kubeadm sets it up.
- :mod:`tests.e2e.install.daemon_pods`: kubelets for the pods of DaemonSets.
- :mod:`tests.e2e.install.asked`: what the API server asks them for: logs and terminals.
- :mod:`tests.e2e.install.site`: a cluster with both, and the operator's machine.
"""
