# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A LiDAR from depth pictures all round, and the directions in which one can walk on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from sim_envs.habitat.config import SensorConfig, SensorKind

FACES = 4
"""Pictures all round, 90 degrees wide: the first looks ahead, the next to the left."""
_USUAL_INTENSITY = 0.2


@dataclass(frozen=True, slots=True)
class DepthLidar:
    """A spinning LiDAR whose rays are pixels of four depth pictures.

    Pixels lie at least as close together as its firings. Each return lies on the ray of the middle of its pixel, so
    that it is where the surface is. Plain pictures cost Habitat a quarter of what a panorama of the same sharpness
    does, and what lies beyond the range is not drawn.

    Attributes:
        height_m: over the foot of the walker.
        channels: rings.
        columns: firings a turn.
        fov_deg: (lowest, highest) elevation.
        max_range_m, min_range_m: nothing comes back from beyond or from nearer.
    """

    height_m: float = 1.75
    channels: int = 64
    columns: int = 1024
    fov_deg: tuple[float, float] = (-25.0, 15.0)
    max_range_m: float = 45.0
    min_range_m: float = 0.5

    @property
    def picture(self) -> tuple[int, int]:
        """Height and width of a picture, pixels: those in its middle are as wide as a firing."""
        width = int(np.ceil(self.columns / np.pi))
        steepest = np.tan(np.radians(max(abs(angle) for angle in self.fov_deg)))
        return int(np.ceil(width * steepest * np.sqrt(2.0))) + 2, width

    def sensors(self, *, reflectivity: bool = False) -> tuple[SensorConfig, ...]:
        """What it reads: depth, and RGB where its alpha is the reflectivity, as in towns of ours."""
        height, width = self.picture
        kinds = (SensorKind.DEPTH, SensorKind.RGB) if reflectivity else (SensorKind.DEPTH,)
        return tuple(
            SensorConfig(name, kind, height, width, self.height_m, yaw_deg=90.0 * face, far_m=self.max_range_m)
            for kind in kinds
            for face, name in enumerate(face_names(kind))
        )

    def scan(self, depth: ArrayLike, reflectivity: ArrayLike | None = None) -> NDArray[np.float64]:
        """(N, 5) x, y, z in base_link, metres, intensity 0 to 1, and number of the ring, lowest first.

        Args:
            depth: (4, H, W) of the ``sensors``, along the optical axes; 0 is no return.
            reflectivity: (4, H, W) 0 to 255, of what a pixel shows; None where that is not known: the intensity is that
                of a usual street then.
        """
        rays, pixels, beside, below = _pixels(self)
        flat = np.ascontiguousarray(depth, np.float32).ravel()
        reflects = np.zeros(0, np.uint8) if reflectivity is None else np.ascontiguousarray(reflectivity).ravel()
        found = _returns(flat, reflects, rays, pixels, beside, below, self.min_range_m, self.max_range_m)
        number = found[:, 4].astype(np.int64)
        found[:, 2] += self.height_m
        found[:, 4] = number // self.columns
        return found


def face_names(kind: SensorKind) -> list[str]:
    """Names of the sensors of a LiDAR, face by face."""
    return [f"lidar_{kind.value}_{face}" for face in range(FACES)]


@lru_cache(maxsize=4)
def _pixels(lidar: DepthLidar) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Rays (P, 3) of all pixels per metre of depth; of each firing its pixel (F,), and those beside and below it."""
    height, width = lidar.picture
    elevation = np.radians(np.linspace(*lidar.fov_deg, lidar.channels))[:, None]
    azimuth = np.pi * (1.0 - 2.0 * (np.arange(lidar.columns) + 0.5) / lidar.columns)
    face = np.floor((azimuth / np.pi + 0.25) * 2.0).astype(np.int64) % FACES
    aside = np.tan((azimuth - face * np.pi / 2.0 + np.pi) % (2.0 * np.pi) - np.pi)
    up = np.tan(elevation) * np.hypot(1.0, aside)
    column = np.clip(np.floor((1.0 - aside) * width / 2.0).astype(np.int64), 0, width - 1)
    row = np.clip(np.floor((height - width * up) / 2.0).astype(np.int64), 0, height - 1)
    start = face * height * width
    beside, below = np.where(column < width - 1, column + 1, column - 1), np.where(row < height - 1, row + 1, row - 1)
    own, across, down = (start + r * width + c for r, c in ((row, column), (row, beside), (below, column)))
    return face_rays(height, width), own.ravel(), across.ravel(), down.ravel()


def face_rays(height: int, width: int) -> NDArray[np.float64]:
    """(4 * H * W, 3) where the middle of each pixel is seen at one metre of depth, in base_link from the eye."""
    left = 1.0 - 2.0 * (np.arange(width) + 0.5) / width
    up = (height - 2.0 * (np.arange(height) + 0.5)) / width
    ahead = np.stack([np.ones((height, width)), *np.broadcast_arrays(left, up[:, None])], axis=-1).reshape(-1, 3)
    turns = [(np.cos(turn), np.sin(turn)) for turn in np.arange(FACES) * np.pi / 2.0]
    return np.concatenate([ahead @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) for c, s in turns])


@njit(cache=True)
def _returns(
    depth: NDArray[np.float32], reflectivity: NDArray[np.uint8], rays: NDArray[np.float64],
    pixels: NDArray[np.int64], beside: NDArray[np.int64], below: NDArray[np.int64], least: float, most: float,
) -> NDArray[np.float64]:  # fmt: skip
    """(N, 5) from the eye: x, y, z, intensity and number of the firing."""
    out = np.empty((len(pixels), 5))
    count = 0
    for firing in range(len(pixels)):
        pixel = pixels[firing]
        x, y, z = depth[pixel] * rays[pixel, 0], depth[pixel] * rays[pixel, 1], depth[pixel] * rays[pixel, 2]
        distance = np.sqrt(x * x + y * y + z * z)
        if distance < least or distance > most:
            continue
        intensity = _USUAL_INTENSITY
        if len(reflectivity):
            b, d = beside[firing], below[firing]
            ax, ay, az = depth[b] * rays[b, 0] - x, depth[b] * rays[b, 1] - y, depth[b] * rays[b, 2] - z
            bx, by, bz = depth[d] * rays[d, 0] - x, depth[d] * rays[d, 1] - y, depth[d] * rays[d, 2] - z
            nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
            length = max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-12)
            facing = abs(nx * x + ny * y + nz * z) / (length * distance)
            intensity = reflectivity[pixel] / 255.0 * (0.25 + 0.75 * facing)
        out[count, 0], out[count, 1], out[count, 2], out[count, 3], out[count, 4] = x, y, z, intensity, firing
        count += 1
    return out[:count]


def free_ways_deg(
    points: NDArray[np.float64], heading_deg: float, *, reach_m: float = 3.0, sector_deg: float = 15.0
) -> tuple[float, ...]:
    """Compass headings, ascending, of the sectors in which nothing stands within reach.

    Args:
        points: (N, 3) or more columns, in base_link; what is between 0.35 and 1.8 m over the foot stands in the way.
        heading_deg: compass heading of base_link's x.
        reach_m: of the way.
        sector_deg: width of a sector; the first is centred on the heading.
    """
    distance = np.hypot(points[:, 0], points[:, 1])
    standing = (points[:, 2] > 0.35) & (points[:, 2] < 1.8) & (distance < reach_m)
    right = -np.degrees(np.arctan2(points[standing, 1], points[standing, 0]))
    count = round(360.0 / sector_deg)
    taken = np.unique(np.rint(right / sector_deg).astype(np.int64) % count)
    free = [number for number in range(count) if number not in taken]
    return tuple(sorted(float((heading_deg + number * sector_deg) % 360.0) for number in free))
