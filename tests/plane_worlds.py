# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Points on flat surfaces around the origin, and plane maps made of them."""

from __future__ import annotations

import numpy as np

from slam.octree import PlaneMap
from slam.odometry_config import MapConfig
from slam.registration import Noise

NOISE = Noise(0.02**2, np.radians(0.05) ** 2, 0.015**2)
HERE = np.zeros(3)


def surface(rng, corner, u, v, count=4000, noise=0.01):
    """(count, 3) points on the parallelogram corner + a u + b v, scattered along its normal."""
    corner, u, v = np.asarray(corner, float), np.asarray(u, float), np.asarray(v, float)
    normal = np.cross(u, v) / np.linalg.norm(np.cross(u, v))
    share = rng.uniform(0.0, 1.0, (count, 2))
    return corner + share[:, :1] * u + share[:, 1:] * v + rng.normal(0.0, noise, (count, 1)) * normal


def floor(rng, half_length=20.0, half_width=3.0):
    """The floor at z = -1.3, which is inside a voxel."""
    return surface(rng, [-half_length, -half_width, -1.3], [2 * half_length, 0, 0], [0, 2 * half_width, 0])


def corridor(rng, half_length=20.0, half_width=3.0):
    """A floor and two walls along x."""
    length, height = [2 * half_length, 0, 0], [0, 0, 3.0]
    walls = [surface(rng, [-half_length, y, -1.3], length, height) for y in (-half_width, half_width)]
    return np.vstack([floor(rng, half_length, half_width), *walls])


def room(rng, half_length=10.0, half_width=6.0):
    """A corridor with walls at its ends."""
    ends = [
        surface(rng, [x, -half_width, -1.3], [0, 2 * half_width, 0], [0, 0, 3.0]) for x in (-half_length, half_length)
    ]
    return np.vstack([corridor(rng, half_length, half_width), *ends])


def mapped(points, config: MapConfig | None = None):
    """A plane map of these points, which come in random order as a scan's would."""
    plane_map = PlaneMap(config or MapConfig())
    shuffled = np.random.default_rng(99).permutation(points)
    plane_map.insert(shuffled, np.eye(3), np.zeros(3), 0)
    return plane_map


def measured(points, count=1500, seed=5, share=1.0):
    """(count, 4) rows x, y, z, share of some of these points."""
    chosen = np.random.default_rng(seed).permutation(points)[:count]
    return np.column_stack([chosen, np.full(len(chosen), share)])


def pose_variance(rotation2: float, position2: float) -> tuple[float, np.ndarray]:
    """Equal in all directions, as ``linearise`` takes it."""
    return rotation2, position2 * np.array([1.0, 0.0, 0.0, 1.0, 0.0, 1.0])
