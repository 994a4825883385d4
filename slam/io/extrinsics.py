# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms as files and people write them, made into clean 4x4 matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slam.calibration import Calibration
from slam.errors import ConfigError
from slam.io.settings import RecordingConfig

Matrix = NDArray[np.float64]


def rotation_from_quaternion(xyzw: ArrayLike) -> Matrix:
    """(3, 3) rotation of a quaternion xyzw, which need not have unit length (zero length: identity)."""
    x, y, z, w = (float(v) for v in np.asarray(xyzw))
    squared = x * x + y * y + z * z + w * w
    if not squared > 0.0:
        return np.eye(3)
    s = 2.0 / squared
    return np.array([
        [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
        [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
        [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
    ])  # fmt: skip


def nearest_rotation(matrix: ArrayLike) -> Matrix:
    """The rotation closest to a (3, 3) matrix in the Frobenius norm (files hold six digits)."""
    u, _, vt = np.linalg.svd(np.asarray(matrix, float))
    return u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt


def transform(rotation: ArrayLike, translation: ArrayLike) -> Matrix:
    """4x4 from a (3, 3) rotation and a (3,) translation."""
    T = np.eye(4)
    T[:3, :3] = rotation
    T[:3, 3] = translation
    return T


def inverse(T: Matrix) -> Matrix:
    """Inverse of a rigid 4x4."""
    return transform(T[:3, :3].T, -T[:3, :3].T @ T[:3, 3])


def transform_from_numbers(numbers: Sequence[float], name: str) -> Matrix:
    """4x4 from 7 numbers (x y z qx qy qz qw) or 16 (row by row).

    Raises:
        ConfigError: another count of numbers, or a rotation that is none.
    """
    values = np.asarray(numbers, float).ravel()
    if not np.isfinite(values).all() or values.size not in (7, 16):
        raise ConfigError(f"{name}: expected 7 numbers (x y z qx qy qz qw) or 16 (a 4x4 row by row), got {values.size}")
    if values.size == 7:
        return _from_position_quaternion(values, name)
    T = values.reshape(4, 4)
    error = float(np.abs(T[:3, :3] @ T[:3, :3].T - np.eye(3)).max())
    if error > 1e-2 or np.linalg.det(T[:3, :3]) < 0:
        raise ConfigError(f"{name}: the 3x3 block is no rotation (R R^T off by {error:.2g}, limit 0.01, or it mirrors)")
    return transform(nearest_rotation(T[:3, :3]), T[:3, 3])


def _from_position_quaternion(values: Matrix, name: str) -> Matrix:
    norm = float(np.linalg.norm(values[3:]))
    if abs(norm - 1.0) > 1e-2:
        raise ConfigError(f"{name}: the quaternion has length {norm:.3g}, not 1; the order is x y z qx qy qz qw")
    return transform(rotation_from_quaternion(values[3:]), values[:3])


def with_configured(calibration: Calibration, settings: RecordingConfig) -> Calibration:
    """The calibration with what the configuration fixes put over it, and the source saying so."""
    given = {
        name: transform_from_numbers(numbers, name)
        for name in ("T_base_lidar", "T_base_imu")
        if (numbers := getattr(settings, name)) is not None
    }
    if not given:
        return calibration
    source = "configuration" if len(given) == 2 else f"configuration ({', '.join(given)}), else {calibration.source}"
    return replace(calibration, **given, source=source)
