# SPDX-License-Identifier: Apache-2.0
# python-iptables ships no types; this names the only things that the agent uses of it.
from iptc import ip4tc as ip4tc
from iptc import ip6tc as ip6tc
