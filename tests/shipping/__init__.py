# SPDX-License-Identifier: Apache-2.0
"""What is shipped beside the program: image, manifests, and the script that installs them."""
