# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which directions the geometry does not constrain, and how to leave them out of an update.

The eigenvectors of the information matrix tell (Zhang et al. 2016); the part that uncertain plane normals explain by
themselves is subtracted first, since in a long corridor noise alone looks like a weak constraint (Hatleskog and
Alexis 2024).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slam.odometry_config import HealthConfig
from slam.registration import Fit


def translation_information(fit: Fit) -> NDArray[np.float64]:
    """(3, 3) information on position with the rotation unknown: the Schur complement of the rotation block."""
    A = fit.information
    rotation = A[:3, :3] + 1e-9 * max(np.trace(A[:3, :3]), 1.0) * np.eye(3)
    return A[3:, 3:] - A[3:, :3] @ np.linalg.solve(rotation, A[:3, 3:])


def weakness(fit: Fit) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Information along each principal direction of position, ascending.

    Returns:
        share (3,): of what all points would give if all normals pointed that way; noise (3,): that share from
        uncertain normals alone; directions (3, 3) in columns, odom.
    """
    values, directions = np.linalg.eigh(translation_information(fit))
    total = max(fit.weight, 1e-12)
    noise = np.einsum("ik,ij,jk->k", directions, fit.noise_information, directions)
    return values / total, noise / total, directions


def unconstrained_axes(fit: Fit, config: HealthConfig) -> NDArray[np.float64]:
    """(K, 3) unit directions along which the scan does not hold the position."""
    if fit.matched < config.least_points:
        return np.eye(3)
    share, noise, directions = weakness(fit)
    weak = (share < config.weak_ratio) | (share < config.weak_noise * noise)
    return np.ascontiguousarray(directions[:, weak].T)


def without(axes: NDArray[np.float64], fit: Fit, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Information (6, 6) and vector (6,) of the measurement on the constrained subspace alone, both scaled."""
    if not len(axes):
        return scale * fit.information, scale * fit.vector
    keep = np.eye(6)
    keep[3:, 3:] -= axes.T @ axes
    return scale * keep @ fit.information @ keep, scale * keep @ fit.vector
