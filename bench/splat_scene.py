# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A street of Gaussians before a camera of 256 x 216 pixels, as a window of the map holds them."""

from __future__ import annotations

import numpy as np

from slam.splatting.gaussians import Gaussians
from slam.splatting.view import View

WIDTH, HEIGHT, FOCAL_PX = 256, 216, 200.0
GROUND_M, WALL_M, END_M = 1.5, 4.0, 40.0
"""Distances of the ground, the walls at both sides and the end of the street from the camera."""
THICKNESS_M, SPACINGS = 0.01, 0.7
"""Standard deviations: across the surface, and along it in spacings of the Gaussians as the camera sees them."""


def camera() -> View:
    """At the world's origin, looking along z."""
    K = np.array([[FOCAL_PX, 0, WIDTH / 2 - 0.5], [0, FOCAL_PX, HEIGHT / 2 - 0.5], [0, 0, 1.0]])
    return View(WIDTH, HEIGHT, K, np.eye(4))


def street(count: int, coefficients: int = 1, seed: int = 0) -> Gaussians:
    """``count`` Gaussians, spread evenly over the picture, flat on the surface that their pixel shows."""
    rng = np.random.default_rng(seed)
    ray = np.ones((count, 3))
    ray[:, :2] = (rng.uniform(0, 1, (count, 2)) - 0.5) * [WIDTH, HEIGHT] / FOCAL_PX
    reach = np.column_stack([WALL_M / np.abs(ray[:, 0]), GROUND_M / np.maximum(ray[:, 1], 1e-6), np.full(count, END_M)])
    depth, axis = reach.min(axis=1), reach.argmin(axis=1)
    along = np.log(SPACINGS * np.sqrt(WIDTH * HEIGHT / count) * depth / FOCAL_PX)
    scales = np.repeat(along[:, None], 3, axis=1)
    scales[np.arange(count), axis] = np.log(THICKNESS_M)
    harmonics = np.zeros((count, coefficients, 3))
    harmonics[:, 0] = rng.uniform(-1.5, 1.5, (count, 3))
    quats = np.tile([0.0, 0.0, 0.0, 1.0], (count, 1))
    arrays = (ray * depth[:, None], quats, scales, np.full(count, 2.0), harmonics)
    return Gaussians(*(np.ascontiguousarray(array, np.float32) for array in arrays))
