# SPDX-License-Identifier: Apache-2.0
"""Tests of the tracer, module by module; the kernel has its say in tests/kernel/test_trace.py."""
