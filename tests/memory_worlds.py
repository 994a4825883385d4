# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Poses and embeddings for the tests of the memory."""

from __future__ import annotations

import numpy as np

from slam import so3


def units(count, dimension, seed=0):
    """(N, D) float32 unit vectors in all directions."""
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def at(x, y=0.0, z=0.0, yaw=0.0):
    """A pose there."""
    T = np.eye(4)
    T[:3, :3] = so3.exp(np.array([0.0, 0.0, yaw]))
    T[:3, 3] = x, y, z
    return T
