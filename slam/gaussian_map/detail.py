# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Coarser and finer: several Gaussians as one of the same moments, and one as four smaller ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from slam.splatting.gaussians import Gaussians

OFFSET = 0.6
"""The four lie so far from the middle along both axes, in standard deviations: they look most like the one then."""

LEAST_VARIANCE_M2 = 1e-10
"""Along the thinnest axis of a merged Gaussian."""


def merged(parts: Gaussians, groups: NDArray[np.integer]) -> Gaussians:
    """One Gaussian for each group, with the mean, covariance and colour of all, weighted by opacity times area.

    The area is that of the two longer axes. The sum of opacity times area stays: where the parts are spread thin, the
    one is fainter than they; where it would be denser than they, as in place of tiles without gaps, it is wider.

    Args:
        parts: N Gaussians, those of a group side by side.
        groups: (N,) whole numbers, ascending; each of 0 to G - 1 occurs.

    Returns:
        G Gaussians.
    """
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    scales = np.exp(parts.log_scales.astype(np.float64))
    mass = parts.opacities().astype(np.float64) * area(scales)
    total = np.add.reduceat(mass, starts)
    share = mass / total[groups]
    means = _sums(share, parts.means, starts)
    apart = parts.means - means[groups]
    axes = Rotation.from_quat(parts.quats).as_matrix()
    spread = (axes * scales[:, None, :] ** 2) @ axes.transpose(0, 2, 1) + apart[:, :, None] * apart[:, None, :]
    variances, directions = np.linalg.eigh(_sums(share, spread, starts))
    directions[:, :, 2] *= np.sign(np.linalg.det(directions))[:, None]
    sigma = np.sqrt(np.maximum(variances, LEAST_VARIANCE_M2))
    mean_opacity = _sums(share, parts.opacities(), starts)
    crowding = total / (area(sigma) * mean_opacity)
    sigma[:, 1:] *= np.sqrt(np.maximum(crowding, 1.0))[:, None]
    opacity = np.clip(mean_opacity * np.minimum(crowding, 1.0), 0.005, 0.995)
    return Gaussians(
        means.astype(np.float32),
        Rotation.from_matrix(directions).as_quat().astype(np.float32),
        np.log(sigma).astype(np.float32),
        np.log(opacity / (1.0 - opacity)).astype(np.float32),
        _sums(share, parts.harmonics, starts).astype(np.float32),
    )


def area(scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) product of the two longer of (N, 3) standard deviations."""
    return scales.prod(axis=1) / scales.min(axis=1)


def quartered(parents: Gaussians) -> tuple[Gaussians, NDArray[np.float64]]:
    """Each as four of half its in-plane size, side by side in its plane; opacity and colour stay.

    Returns:
        4 N Gaussians, those of one parent side by side, and (4 N, 3) where each lies from its parent's mean, metres.
    """
    axes, _, flat = frames(parents)
    rows = np.arange(parents.size)
    children = parents.take(np.repeat(rows, 4))
    signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], np.float64) * OFFSET
    sigma = np.exp(np.take_along_axis(parents.log_scales, flat, axis=1).astype(np.float64))
    u, v = (axes[rows, :, flat[:, k]] * sigma[:, k : k + 1] for k in range(2))
    offsets = (signs[None, :, 0, None] * u[:, None] + signs[None, :, 1, None] * v[:, None]).reshape(-1, 3)
    children.means[:] = children.means + offsets
    children.log_scales[np.arange(children.size)[:, None], np.repeat(flat, 4, axis=0)] -= np.float32(np.log(2.0))
    return children, offsets


def frames(gaussians: Gaussians) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Axes (N, 3, 3) as columns in the world, the index (N,) of the thinnest, and (N, 2) of the two others."""
    thin = gaussians.log_scales.argmin(axis=1)
    flat = (thin[:, None] + [[1, 2]]) % 3
    axes = Rotation.from_quat(gaussians.quats).as_matrix() if gaussians.size else np.zeros((0, 3, 3))
    return axes, thin, flat


def normals(gaussians: Gaussians) -> NDArray[np.float64]:
    """(N, 3) unit vectors along the thinnest axes, of either sense."""
    axes, thin, _ = frames(gaussians)
    return axes[np.arange(gaussians.size), :, thin]


def turned(gaussians: Gaussians, towards: NDArray[np.float64]) -> NDArray[np.float32]:
    """(N, 4) xyzw quaternions after the shortest turn that lays the thinnest axes along (N, 3) unit vectors."""
    old = normals(gaussians)
    new = towards * np.where((old * towards).sum(axis=1, keepdims=True) < 0.0, -1.0, 1.0)
    turn = np.column_stack([np.cross(old, new), 1.0 + (old * new).sum(axis=1)])
    return (Rotation.from_quat(turn) * Rotation.from_quat(gaussians.quats)).as_quat().astype(np.float32)


def _sums(share: NDArray[np.float64], values: NDArray, starts: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.add.reduceat(share.reshape(-1, *[1] * (values.ndim - 1)) * values, starts, axis=0)
