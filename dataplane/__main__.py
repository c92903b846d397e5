# SPDX-License-Identifier: Apache-2.0
"""``python -m dataplane``, the same as the installed command ``dataplane``."""

from dataplane.cli import main

if __name__ == "__main__":
    main()
