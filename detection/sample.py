# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a detector is given, and what it answers with: one type for every dataset, rig and simulator.

Everything is in the vehicle's frame ``base_link`` (REP-103: x forward, y left, z up, origin on the ground), wherever
the sensors sit. SparseFusion works in the LiDAR's frame; on the ground a box has the same height whatever roof the
LiDAR is mounted on, and a rig without any LiDAR has a frame too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detection.errors import SampleError
from slam.calibration import Camera

POINT_FIELDS = ("x", "y", "z", "intensity", "age_s")
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Boxes:
    """N boxes, truth or detected, as arrays. Angles about +z, from +x towards +y.

    Attributes:
        centre: (N, 3) float32 gravity centres, metres.
        size: (N, 3) float32 length (along the box's x), width, height, metres.
        yaw: (N,) float32 radians.
        velocity: (N, 2) float32 m/s over ground, along base_link's axes; NaN where unknown.
        label: (N,) int64 index into the list of class names that goes with them.
        score: (N,) float32 in [0, 1]; 1 for truth.
        identity: (N,) int64, the same number for the same thing in other frames; -1 unknown.
        points: (N,) int64 LiDAR returns on it; -1 unknown.
        pixels: (N,) int64 pixels of it that are visible, over all pictures; -1 unknown.
    """

    centre: NDArray[np.float32]
    size: NDArray[np.float32]
    yaw: NDArray[np.float32]
    velocity: NDArray[np.float32]
    label: NDArray[np.int64]
    score: NDArray[np.float32]
    identity: NDArray[np.int64]
    points: NDArray[np.int64]
    pixels: NDArray[np.int64]

    def __post_init__(self) -> None:
        counts = {one.name: len(getattr(self, one.name)) for one in fields(self)}
        if len(set(counts.values())) > 1 or self.centre.shape[1:] != (3,) or self.size.shape[1:] != (3,):
            raise SampleError(f"boxes of unequal arrays: {counts}, centre {self.centre.shape}, size {self.size.shape}")

    def __len__(self) -> int:
        return len(self.yaw)

    def pick(self, which: ArrayLike) -> Boxes:
        """Those that a boolean mask or an array of indices selects, in that order."""
        index = np.asarray(which)
        if index.dtype != bool:
            index = index.astype(np.int64)
        return Boxes(**{one.name: getattr(self, one.name)[index] for one in fields(self)})


def make_boxes(
    centre: ArrayLike,
    size: ArrayLike,
    yaw: ArrayLike,
    label: ArrayLike,
    *,
    velocity: ArrayLike | None = None,
    score: ArrayLike | None = None,
    identity: ArrayLike | None = None,
    points: ArrayLike | None = None,
    pixels: ArrayLike | None = None,
) -> Boxes:
    """Boxes from whatever is known; the rest is 1 (score), NaN (velocity) or -1.

    Raises:
        SampleError: arrays of unequal length.
    """
    label = np.asarray(label, np.int64).reshape(-1)
    count = len(label)

    def numbers(values: ArrayLike | None) -> NDArray[np.int64]:
        return np.full(count, UNKNOWN, np.int64) if values is None else np.asarray(values, np.int64).reshape(-1)

    moves = np.full((count, 2), np.nan) if velocity is None else np.asarray(velocity)
    return Boxes(
        np.asarray(centre, np.float32).reshape(-1, 3),
        np.asarray(size, np.float32).reshape(-1, 3),
        np.asarray(yaw, np.float32).reshape(-1),
        moves.astype(np.float32).reshape(-1, 2),
        label,
        np.ones(count, np.float32) if score is None else np.asarray(score, np.float32).reshape(-1),
        numbers(identity),
        numbers(points),
        numbers(pixels),
    )


def no_boxes() -> Boxes:
    """Zero boxes."""
    return make_boxes(np.zeros((0, 3)), np.zeros((0, 3)), [], [])


def joined_boxes(parts: Iterable[Boxes]) -> Boxes:
    """All boxes of several, in order."""
    parts = [no_boxes(), *parts]
    return Boxes(**{one.name: np.concatenate([getattr(p, one.name) for p in parts]) for one in fields(Boxes)})


@dataclass(frozen=True, slots=True)
class View:
    """One picture and the camera that took it.

    Attributes:
        name: of the camera.
        pixels: (H, W, 3) uint8 RGB.
        camera: intrinsics, distortion and ``T_base_camera``.
    """

    name: str
    pixels: NDArray[np.uint8]
    camera: Camera

    def __post_init__(self) -> None:
        expected = (self.camera.height, self.camera.width, 3)
        if self.pixels.shape != expected or self.pixels.dtype != np.uint8:
            raise SampleError(
                f"picture of camera {self.name!r} is {self.pixels.shape} {self.pixels.dtype}, "
                f"its calibration says {expected} uint8"
            )


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment: what the LiDAR and any number of cameras saw, and what was there.

    Attributes:
        name: unique in its dataset.
        stamp_ns: of the moment that the boxes hold at.
        points: (P, 5) float32: x, y, z in metres, intensity in [0, 1], age in seconds (0 for the current sweep,
            positive for past ones, whose points stand where they were seen, moved by the vehicle's own motion
            alone); (0, 5) without a LiDAR.
        views: pictures; () without cameras.
        boxes: truth; None where there is none.
        T_world_base: (4, 4) float64 pose of the vehicle in some fixed frame; None where unknown.
        lidar_origin: (3,) float64 where the LiDAR sits, metres.
    """

    name: str
    stamp_ns: int
    points: NDArray[np.float32]
    views: tuple[View, ...] = ()
    boxes: Boxes | None = None
    T_world_base: NDArray[np.float64] | None = None
    lidar_origin: NDArray[np.float64] = field(default_factory=lambda: np.array([0.0, 0.0, 1.8]))

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != len(POINT_FIELDS):
            raise SampleError(f"points of {self.name} are {self.points.shape}: expected (P, 5), {POINT_FIELDS}")
