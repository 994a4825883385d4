# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Following a path: pure pursuit, slower in bends and before what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mem4nav.driving.config import FollowerConfig
from mem4nav.driving.grid import Ground

_STEP_M = 0.3
_CREEP = 0.3


@dataclass(frozen=True, slots=True)
class Command:
    """What the vehicle is told.

    Attributes:
        speed: m/s along base_link's x.
        turn_rate: rad/s about its z.
    """

    speed: float = 0.0
    turn_rate: float = 0.0


STAND = Command()


def resampled(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, 2) the same polyline (K, 2), K >= 2, at even steps."""
    step = np.linalg.norm(np.diff(path, axis=0), axis=1)
    station = np.concatenate([[0.0], np.cumsum(step)])
    at = np.arange(0.0, station[-1], _STEP_M)
    return np.stack([np.interp(at, station, path[:, k]) for k in range(2)], axis=1)


def shifted(path: NDArray[np.float64], left_m: float) -> NDArray[np.float64]:
    """(M, 2) a path moved to its left."""
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    return path + left_m * np.stack([-along[:, 1], along[:, 0]], axis=1)


def ahead_of(path: NDArray[np.float64], position: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, 2) the rest of a path from the point nearest to a position (2,) on; its last two points at least."""
    nearest = int(np.linalg.norm(path - position, axis=1).argmin())
    return path[min(nearest, len(path) - 2) :]


def free_way(path: NDArray[np.float64], ground: Ground, half_width_m: float) -> float:
    """Metres along a path (evenly resampled) before a vehicle of that half width would touch an obstacle."""
    reach = int(np.ceil(half_width_m / ground.cell_m))
    disc = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) * ground.cell_m <= half_width_m
    blocked = ground.at(ndimage.binary_dilation(ground.obstacle, disc), path)
    return float("inf") if not blocked.any() else _STEP_M * int(blocked.argmax())


def pursue(
    path: NDArray[np.float64], position: NDArray[np.float64], yaw: float, speed: float, config: FollowerConfig
) -> Command:
    """The arc that leads from a pose to a point ahead on the path (Coulter 1992, eq. 4: curvature 2 y / L^2).

    Args:
        path: (M, 2) metres in odom, from the vehicle on.
        position, yaw: of base_link in odom.
        speed: m/s that is wished; bends make it less.
    """
    reach = config.lookahead_m + config.lookahead_s * speed
    away = np.linalg.norm(path - position, axis=1)
    beyond = np.flatnonzero(away >= reach)
    target = path[beyond[0]] if len(beyond) else path[-1]
    dx, dy = target - position
    across = -np.sin(yaw) * dx + np.cos(yaw) * dy
    curvature = 2.0 * across / max(dx * dx + dy * dy, 1.0)
    fastest = np.sqrt(config.lateral / max(abs(curvature), 1e-6))
    speed = float(min(speed, fastest, config.turn_rate / max(abs(curvature), 1e-6)))
    return Command(speed, float(np.clip(speed * curvature, -config.turn_rate, config.turn_rate)))


def slowed(speed: float, way_m: float, config: FollowerConfig) -> float:
    """The speed at which one can still stop within a way: v^2 = 2 a s."""
    return float(min(speed, np.sqrt(2.0 * config.braking * max(way_m, 0.0)))) if way_m > _CREEP * _STEP_M else 0.0
