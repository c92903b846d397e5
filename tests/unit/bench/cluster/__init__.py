# SPDX-License-Identifier: Apache-2.0
"""What the comparison with kube-proxy is made of, but for the programs that it runs."""
