# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One moment of a drive with everything a detector may be asked for, and what of it the sensors saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.moving import Box
from slam.calibration import Calibration

KINDS = ("car", "van", "bicycle", "pedestrian", "traffic light", "hydrant", "bench", "tree", "shop sign")
"""What is labelled. A bicycle is ridden: its box holds the rider. A traffic light is head and pole together, a tree
crown and trunk, a shop sign the board over the window. Furniture and signs face along their box's +x."""

_NAMES = {"cyclist": "bicycle"}


@dataclass(frozen=True, slots=True)
class Things:
    """N labelled things as arrays, in base_link.

    A box stands upright in base_link, while the thing itself stands upright in the world: on a slope the two differ
    by the vehicle's tilt. Centres are exact.

    Attributes:
        kind: (N,) int64 index into ``KINDS``.
        centre: (N, 3) float64 gravity centre of the box, metres.
        size: (N, 3) float64 length (along the box's x), width, height, metres.
        yaw: (N,) float64 radians about +z.
        velocity: (N, 2) float64 over ground, along base_link's axes, m/s.
        identity: (N,) int64, the same for the same thing in every scene of a town.
        points: (N,) int64 LiDAR returns from its surface.
        pixels: (N,) int64 pixels that show it, over all cameras.
    """

    kind: NDArray[np.int64]
    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    yaw: NDArray[np.float64]
    velocity: NDArray[np.float64]
    identity: NDArray[np.int64]
    points: NDArray[np.int64]
    pixels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.yaw)

    def pick(self, which: NDArray) -> Things:
        """Those that a boolean mask or an array of indices selects."""
        return Things(*(getattr(self, one.name)[which] for one in fields(self)))


@dataclass(frozen=True, slots=True)
class Scene:
    """What the sensors of one rig saw at one moment, and the truth.

    Attributes:
        name: town and frame or sweep; the same name, the same bytes (under one configuration).
        stamp_ns: the moment: the middle of the sweep, and of all pictures' exposures.
        points: (P, 3) float32 in base_link, each moved by the vehicle's true motion from its own time to the moment.
            Things that move are not moved with it: they stand where each ray met them.
        intensity: (P,) float32, 0 to 1.
        pictures: (H, W, 3) uint8 RGB by name of the camera.
        calibration: of the rig.
        T_world_base: (4, 4) float64 true pose in map.
        things: what is within range, seen or not.
    """

    name: str
    stamp_ns: int
    points: NDArray[np.float32]
    intensity: NDArray[np.float32]
    pictures: dict[str, NDArray[np.uint8]]
    calibration: Calibration
    T_world_base: NDArray[np.float64]
    things: Things


def things_of(
    boxes: Sequence[Box], T_world_base: NDArray[np.float64], points: NDArray[np.int64], pixels: NDArray[np.int64]
) -> Things:
    """Boxes in map as things in base_link; ``points`` and ``pixels`` (N,) are how often each was seen."""
    rotation, origin = T_world_base[:3, :3], T_world_base[:3, 3]
    yaw = np.array([box.yaw for box in boxes])
    ahead = np.stack([np.cos(yaw), np.sin(yaw), np.zeros(len(boxes))], axis=1) @ rotation
    return Things(
        np.array([KINDS.index(_NAMES.get(box.kind, box.kind)) for box in boxes], np.int64),
        (np.array([box.centre for box in boxes]).reshape(-1, 3) - origin) @ rotation,
        np.array([box.size for box in boxes]).reshape(-1, 3),
        np.arctan2(ahead[:, 1], ahead[:, 0]),
        (np.array([box.velocity for box in boxes]).reshape(-1, 3) @ rotation)[:, :2],
        np.array([box.identity for box in boxes], np.int64),
        points,
        pixels,
    )
