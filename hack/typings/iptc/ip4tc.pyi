# SPDX-License-Identifier: Apache-2.0
import ctypes

_libiptc: ctypes.CDLL
