# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Spatial memory: semantic octree, topology graph, reversible tokens, long- and short-term."""
