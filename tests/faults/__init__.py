# SPDX-License-Identifier: Apache-2.0
"""What can go wrong around the agent, with real processes, while a client asks all the time."""
