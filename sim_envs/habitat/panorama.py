# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A LiDAR from a depth panorama, and the directions in which one can walk on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PanoramaLidar:
    """A spinning LiDAR whose rays are pixels of an equirectangular depth picture.

    Each return lies on the ray of the middle of its pixel, so that it is where the surface is, however coarse the
    picture.

    Attributes:
        height_m: over the foot of the walker.
        channels: rings.
        columns: firings a turn.
        fov_deg: (lowest, highest) elevation.
        max_range_m, min_range_m: nothing comes back from beyond or from nearer.
    """

    height_m: float = 1.9
    channels: int = 32
    columns: int = 1024
    fov_deg: tuple[float, float] = (-25.0, 15.0)
    max_range_m: float = 60.0
    min_range_m: float = 0.5

    def scan(self, depth: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, 3) metres in base_link of (H, W) depths as Habitat's panorama has them; 0 is no return."""
        rows, columns = self._pixels(*depth.shape)
        rays = pixel_rays(*depth.shape)[rows[:, None], columns[None, :]]
        # Habitat draws the six faces of a cube, and keeps their depth: along the axis of the face, not along the ray.
        distance = depth[rows[:, None], columns[None, :]] / np.abs(rays).max(axis=-1)
        hit = (distance >= self.min_range_m) & (distance <= self.max_range_m)
        return rays[hit] * distance[hit][:, None] + [0.0, 0.0, self.height_m]

    def _pixels(self, height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        elevation = np.radians(np.linspace(*self.fov_deg, self.channels))
        rows = np.floor((0.5 - elevation / np.pi) * height).astype(np.int64)
        columns = np.floor((np.arange(self.columns) + 0.5) / self.columns * width).astype(np.int64)
        return np.unique(np.clip(rows, 0, height - 1)), np.unique(columns)


def pixel_rays(height: int, width: int) -> NDArray[np.float64]:
    """(H, W, 3) unit rays of an equirectangular picture's pixels in base_link: the middle column looks along +x."""
    elevation = np.pi * (0.5 - (np.arange(height) + 0.5) / height)
    azimuth = np.pi * (1.0 - 2.0 * (np.arange(width) + 0.5) / width)
    flat = np.cos(elevation)[:, None]
    rays = np.empty((height, width, 3))
    rays[..., 0], rays[..., 1] = flat * np.cos(azimuth), flat * np.sin(azimuth)
    rays[..., 2] = np.sin(elevation)[:, None]
    return rays


def free_ways_deg(
    points: NDArray[np.float64], heading_deg: float, *, reach_m: float = 3.0, sector_deg: float = 15.0
) -> tuple[float, ...]:
    """Compass headings, ascending, of the sectors in which nothing stands within reach.

    Args:
        points: (N, 3) in base_link; what is between 0.35 and 1.8 m over the foot stands in the way.
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
