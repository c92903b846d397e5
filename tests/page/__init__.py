# SPDX-License-Identifier: Apache-2.0
"""The status page in a browser, with a real agent and real connections."""
