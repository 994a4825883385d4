# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Files of a dataset to checked arrays: whatever is wrong with one is a DatasetError that names it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detection.errors import DatasetError
from detection.sample import POINT_FIELDS, View
from slam.calibration import Camera
from slam.errors import ConfigError, RecordingError
from slam.io.extrinsics import transform_from_numbers
from slam.io.pictures import decode_picture

Matrix = NDArray[np.float64]
UNDISTORTED = np.zeros(5)


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DatasetError: it is missing, or no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as err:
        raise DatasetError(f"{path} cannot be read: {err.strerror}") from None
    except ValueError as err:
        raise DatasetError(f"{path} is no JSON, or is cut off: {err}") from None


def read_rows(path: Path, columns: int) -> NDArray[np.float32]:
    """(N, columns) float32 of a file that holds nothing but such rows, little-endian.

    Raises:
        DatasetError: it is missing, or its size is no multiple of a row.
    """
    try:
        values = np.fromfile(path, "<f4")
        size = path.stat().st_size
    except OSError as err:
        raise DatasetError(f"{path} cannot be read: {err.strerror}") from None
    if size % (4 * columns):
        raise DatasetError(
            f"{path} holds {size} bytes, no multiple of {4 * columns}: cut off, or not {columns} columns"
        )
    return values.reshape(-1, columns)


def read_view(
    path: Path,
    name: str,
    K: ArrayLike,
    T_base_camera: Matrix,
    *,
    distortion: ArrayLike = UNDISTORTED,
    size: tuple[int, int] | None = None,
) -> View:
    """A picture (PNG, JPEG; grey ones become RGB) with its camera.

    Args:
        size: (width, height) that the calibration holds for, pixels; None: it does not say.

    Raises:
        DatasetError: missing, no picture, or of another size.
    """
    try:
        pixels = decode_picture(path)
    except RecordingError as err:
        raise DatasetError(str(err)) from None
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    height, width = pixels.shape[:2]
    if size not in (None, (width, height)):
        raise DatasetError(f"{path} has {width} x {height} pixels, its calibration is for {size[0]} x {size[1]}")
    calibration = numbers(K, (3, 3), f"{path}: K"), numbers(distortion, (5,), f"{path}: distortion")
    return View(name, pixels, Camera(width, height, *calibration, T_base_camera))


def numbers(values: ArrayLike, shape: tuple[int, ...], what: str) -> Matrix:
    """Float64 array of a shape.

    Raises:
        DatasetError: other numbers than those, or some that are not finite; ``what`` begins the message.
    """
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise DatasetError(f"{what} is no array of numbers: expected {shape}") from None
    if array.shape != shape or not np.isfinite(array).all():
        raise DatasetError(f"{what} is {array.shape} with {np.isfinite(array).sum()} finite numbers: expected {shape}")
    return array


def rigid(values: ArrayLike, what: str) -> Matrix:
    """(4, 4) pose from its rows; its rotation is made exact.

    Raises:
        DatasetError: another shape, or no rotation; ``what`` begins the message.
    """
    try:
        return transform_from_numbers(numbers(values, (4, 4), what).ravel().tolist(), what)
    except ConfigError as err:
        raise DatasetError(str(err)) from None


def pose(wxyz: Sequence[float], translation: Sequence[float], what: str) -> Matrix:
    """(4, 4) pose from a quaternion, w first, and metres.

    Raises:
        DatasetError: not 4 and 3 numbers, or a quaternion whose length is not 1; ``what`` begins the message.
    """
    w, *xyz = numbers(wxyz, (4,), f"{what}: rotation").tolist()
    try:
        return transform_from_numbers([*numbers(translation, (3,), f"{what}: translation").tolist(), *xyz, w], what)
    except ConfigError as err:
        raise DatasetError(str(err)) from None


def placed(points: NDArray[np.float32], intensity: ArrayLike, T_base_sensor: Matrix, age_s: float = 0.0) -> NDArray:
    """(P, 5) float32 points as a sample holds them; those that are not finite are left out.

    Args:
        points: (P, 3) metres, in the sensor's frame at the time of the sweep.
        intensity: (P,) in [0, 1].
        T_base_sensor: (4, 4) that frame into base_link at the time of the sample.
    """
    rows = np.empty((len(points), len(POINT_FIELDS)), np.float32)
    rows[:, :3] = points @ T_base_sensor[:3, :3].T + T_base_sensor[:3, 3]
    rows[:, 3] = intensity
    rows[:, 4] = age_s
    return rows[np.isfinite(rows).all(axis=1)]


def headings(rotations: Matrix) -> Matrix:
    """(N,) yaw of the x axes of (N, 3, 3) rotations, radians."""
    return np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0])


def identity_of(token: str) -> int:
    """A number in [0, 2^63) for a name, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "big") >> 1


def wanted(name: str, cameras: Collection[str] | None) -> bool:
    """Is this camera among those asked for? None asks for all."""
    return cameras is None or name in cameras
