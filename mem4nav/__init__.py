# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Spatial memory, agent and command line."""

__version__ = "0.1.0"
