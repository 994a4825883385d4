# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussians strewn before a camera, by their size on the screen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from slam.splatting.gaussians import Gaussians
from slam.splatting.view import View

POSE = np.eye(4)
POSE[:3, :3] = Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix()
POSE[:3, 3] = 0.5, -1.0, 2.0
"""T_camera_world that is nothing special."""


def view(width: int, height: int, pose: NDArray[np.float64] = POSE) -> View:
    """A camera of 64 degrees, its principal point off the middle."""
    f = 0.8 * width
    K = np.array([[f, 0.0, 0.5 * width + 1.3], [0.0, 1.1 * f, 0.5 * height - 0.7], [0.0, 0.0, 1.0]])
    return View(width, height, K, pose)


def strewn(
    count: int,
    seen_by: View,
    sizes_px: tuple[float, float] = (1.0, 5.0),
    most_opacity: float = 0.9,
    coefficients: int = 1,
    seed: int = 0,
) -> Gaussians:
    """``count`` Gaussians with centres in the picture, 2 to 30 m away, of standard deviations ``sizes_px``."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(2.0, 30.0, count)
    pixels = rng.uniform((0.0, 0.0), (seen_by.width, seen_by.height), (count, 2))
    f, c = seen_by.K[[0, 1], [0, 1]], seen_by.K[:2, 2]
    in_camera = np.column_stack([(pixels - 0.5 - c) / f * z[:, None], z])
    T = np.linalg.inv(seen_by.T_camera_world)
    scales = rng.uniform(*sizes_px, (count, 3)) * (z / f[0])[:, None]
    opacities = rng.uniform(0.05, most_opacity, count)
    return as_gaussians(
        in_camera @ T[:3, :3].T + T[:3, 3],
        rng.normal(size=(count, 4)),
        np.log(scales),
        np.log(opacities / (1.0 - opacities)),
        rng.normal(scale=0.5, size=(count, coefficients, 3)),
    )


def as_gaussians(means, quats, log_scales, logits, harmonics) -> Gaussians:
    """From anything like arrays."""
    return Gaussians(*(np.array(a, np.float32) for a in (means, quats, log_scales, logits, harmonics)))


def one(mean=(0.0, 0.0, 5.0), scale=0.05, opacity=0.8, colour=(1.0, 0.5, 0.25)) -> Gaussians:
    """A single round Gaussian."""
    logit = np.log(opacity / (1.0 - opacity))
    harmonics = (np.array(colour) - 0.5) / 0.28209479177387814
    return as_gaussians([mean], [[0, 0, 0, 1]], np.full((1, 3), np.log(scale)), [logit], harmonics[None, None])
