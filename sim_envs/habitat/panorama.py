# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A LiDAR from a depth panorama, and the directions in which one can walk on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_USUAL_INTENSITY = 0.2


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

    height_m: float = 1.75
    channels: int = 64
    columns: int = 1024
    fov_deg: tuple[float, float] = (-25.0, 15.0)
    max_range_m: float = 60.0
    min_range_m: float = 0.5

    def scan(self, depth: NDArray[np.float32], reflectivity: NDArray[np.uint8] | None = None) -> NDArray[np.float64]:
        """(N, 5) x, y, z in base_link, metres, intensity 0 to 1, and number of the ring, lowest first.

        Args:
            depth: (H, W) as Habitat's panorama has it; 0 is no return.
            reflectivity: (H, W) 0 to 255, of what a pixel shows; None where that is not known: the intensity is that
                of a usual street then.
        """
        rows, columns = self._pixels(*depth.shape)
        grid = np.ix_(rows, columns)
        rays = pixel_rays(*depth.shape)[grid]
        distance = _along_rays(depth[grid], rays)
        hit = (distance >= self.min_range_m) & (distance <= self.max_range_m)
        points = rays[hit] * distance[hit][:, None] + [0.0, 0.0, self.height_m]
        ring = np.broadcast_to(np.arange(len(rows))[::-1, None], hit.shape)[hit]
        if reflectivity is None:
            return np.column_stack([points, np.full(len(points), _USUAL_INTENSITY), ring])
        facing = self._facing(depth, rows, columns, rays, distance)[hit]
        return np.column_stack([points, reflectivity[grid][hit] / 255.0 * (0.25 + 0.75 * facing), ring])

    def _facing(
        self, depth: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64],
        rays: NDArray[np.float64], distance: NDArray[np.float64],
    ) -> NDArray[np.float64]:  # fmt: skip
        """(R, C) cosine between each ray and the surface's normal, from the pixels beside and below."""
        all_rays, points = pixel_rays(*depth.shape), rays * distance[..., None]
        sides = []
        for grid in (
            np.ix_(rows, (columns + 1) % depth.shape[1]),
            np.ix_(np.minimum(rows + 1, len(depth) - 1), columns),
        ):
            beside = all_rays[grid]
            sides.append(beside * _along_rays(depth[grid], beside)[..., None] - points)
        normal = np.cross(*sides)
        length = np.maximum(np.linalg.norm(normal, axis=-1), 1e-12)
        return np.abs((normal * rays).sum(axis=-1)) / length

    def _pixels(self, height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        elevation = np.radians(np.linspace(*self.fov_deg, self.channels))
        rows = np.floor((0.5 - elevation / np.pi) * height).astype(np.int64)
        columns = np.floor((np.arange(self.columns) + 0.5) / self.columns * width).astype(np.int64)
        return np.unique(np.clip(rows, 0, height - 1)), np.unique(columns)


def _along_rays(depth: NDArray[np.float32], rays: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances along rays (..., 3) of depths (...).

    Habitat draws the six faces of a cube, and keeps their depth: along the axis of the face, not along the ray.
    """
    return depth / np.abs(rays).max(axis=-1)


@lru_cache(maxsize=4)
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
