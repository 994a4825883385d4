# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""New Gaussians from a picture and the surfaces that the LiDAR sees in it (GS-LIVO, map initialisation)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from slam.splatting.gaussians import C0, Gaussians
from slam.splatting.view import View

BORDER_PX = 2
"""Nothing is seeded so near to the picture's edge."""
STEEPEST = 0.15
"""Cosine between a surface's normal and the line of sight below which its footprint is not stretched further."""


@dataclass(frozen=True, slots=True)
class SeedConfig:
    """How a Gaussian begins."""

    spacing_px: float = 2.0
    """Distance between seeds in the picture, pixels."""
    overlap: float = 0.5
    """In-plane standard deviation, in spacings on the surface."""
    thickness_m: float = 0.01
    """Standard deviation along the normal, metres."""
    opacity: float = 0.9
    """Of a new Gaussian."""
    reach_px: float = 6.0
    """Pixels farther than this from a return are not seeded."""
    farthest_m: float = 100.0
    """Nor what is farther than this, metres."""


def seed_pixels(wanted: NDArray[np.bool_], spacing_px: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the wanted pixels on a grid of ``spacing_px``, away from the picture's border."""
    height, width = wanted.shape
    rows = np.arange(BORDER_PX, height - BORDER_PX, spacing_px).round().astype(np.intp)
    columns = np.arange(BORDER_PX, width - BORDER_PX, spacing_px).round().astype(np.intp)
    i, j = np.meshgrid(rows, columns, indexing="ij")
    chosen = wanted[i, j]
    return i[chosen], j[chosen]


def seeds(
    colour: NDArray[np.float32],
    depth: NDArray[np.float32],
    normal: NDArray[np.float32],
    view: View,
    pixels: tuple[NDArray[np.intp], NDArray[np.intp]],
    config: SeedConfig,
    coefficients: int = 1,
) -> tuple[Gaussians, NDArray[np.float64]]:
    """Gaussians on the surfaces at M pixels.

    The thin axis (local x) lies along the normal; the in-plane axes follow the footprint of the spacing on the
    surface: local y where the line of sight leans, stretched by the slant, local z across it.

    Args:
        colour: (H, W, 3) in [0, 1], at the map's exposure. depth: (H, W) metres, positive at the pixels.
        normal: (H, W, 3) unit, camera frame, towards the camera.
        pixels: rows and columns (M,).

    Returns:
        M Gaussians in the world, and (M,) the size of their footprint across the slant, metres.
    """
    i, j = pixels
    R = view.T_camera_world[:3, :3]
    z, n = depth[i, j].astype(np.float64), normal[i, j].astype(np.float64)
    rays = view.rays(i, j)
    points = rays * z[:, None]
    sight = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    cosine = np.clip(-(sight * n).sum(axis=1), STEEPEST, 1.0)
    lean = sight + n * (-(sight * n).sum(axis=1))[:, None]
    length = np.linalg.norm(lean, axis=1)
    flat = length < 1e-3
    lean[flat] = np.cross(n[flat], _any_across(n[flat]))
    lean /= np.linalg.norm(lean, axis=1, keepdims=True)
    axes = np.stack([n, lean, np.cross(n, lean)], axis=2)
    spacing = config.spacing_px * z / view.K[0, 0]
    sigma = config.overlap * spacing
    scales = np.stack([np.full_like(sigma, config.thickness_m), sigma / cosine, sigma], axis=1)
    out = Gaussians.zeros(len(i), coefficients)
    out.means[:] = (points - view.T_camera_world[:3, 3]) @ R
    out.quats[:] = Rotation.from_matrix(R.T @ axes).as_quat() if len(i) else np.zeros((0, 4))
    out.log_scales[:] = np.log(scales)
    out.logits[:] = np.log(config.opacity / (1.0 - config.opacity))
    out.harmonics[:, 0] = (colour[i, j] - 0.5) / C0
    return out, spacing


def _any_across(n: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, 3) vectors that are not along ``n``."""
    out = np.zeros_like(n)
    out[np.arange(len(n)), np.abs(n).argmin(axis=1)] = 1.0
    return out
