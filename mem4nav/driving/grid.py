# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Where one can drive: a rolling grid of ground heights and obstacles, fixed in the odometry's frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mem4nav.driving.config import GridConfig

_SHIFT_M = 6.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known round the vehicle; cell (i, j) covers ``origin`` + [i, i + 1) x [j, j + 1) cells.

    Attributes:
        origin: (2,) metres in odom.
        cell_m: side of a cell.
        street: (N, N) bool: seen (or next to what was seen), and bounded by no kerb; obstacles may stand on it.
        kerb: (N, N) bool: a step that bounds a street.
        obstacle: (N, N) bool: something stands there that one would drive into.
    """

    origin: NDArray[np.float64]
    cell_m: float
    street: NDArray[np.bool_]
    kerb: NDArray[np.bool_]
    obstacle: NDArray[np.bool_]

    def at(self, layer: NDArray[np.bool_], points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(...) a layer at (..., 2) points in odom; False outside."""
        cell = np.floor((points - self.origin) / self.cell_m).astype(np.int64)
        inside = ((cell >= 0) & (cell < len(layer))).all(axis=-1)
        cell = np.clip(cell, 0, len(layer) - 1)
        return layer[cell[..., 0], cell[..., 1]] & inside

    def points(self, layer: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(K, 2) middles of a layer's cells in odom."""
        return self.origin + (np.argwhere(layer) + 0.5) * self.cell_m


class LocalGrid:
    """Takes in scans, and says what ground lies round the vehicle."""

    def __init__(self, config: GridConfig | None = None) -> None:
        self.config = config or GridConfig()
        self._count = round(self.config.size_m / self.config.cell_m)
        self._origin: NDArray[np.float64] | None = None
        shape = (self._count, self._count)
        self._height = np.full(shape, np.nan, np.float32)
        self._hits = np.zeros(shape, np.float32)

    def insert(self, points: NDArray[np.floating], position: NDArray[np.float64]) -> None:
        """Add a scan.

        Args:
            points: (N, 3) in odom, the motion within the scan undone; what is not finite is left out.
            position: (3,) of base_link in odom: on the ground.
        """
        self._follow(position[:2])
        assert self._origin is not None
        c = self.config
        away = np.abs(points - position)
        near = (away[:, :2] < c.range_m).all(axis=1) & (away[:, 2] < 0.2 * c.range_m)
        points = points[near]
        cell = np.floor((points[:, :2] - self._origin) / c.cell_m).astype(np.int64)
        flat, z = cell[:, 0] * self._count + cell[:, 1], points[:, 2].astype(np.float32)
        lowest = np.full(self._count**2, np.inf, np.float32)
        np.minimum.at(lowest, flat, z)
        self._learn_ground(lowest)
        over = z - self._height.ravel()[flat]
        standing = (over > c.obstacle_low_m) & (over < c.obstacle_high_m)
        hits = np.bincount(flat[standing], minlength=self._count**2)
        hit, seen = (hits > 0).reshape(self._hits.shape), np.isfinite(lowest).reshape(self._hits.shape)
        self._hits[seen & ~hit] *= c.forget
        self._hits = np.minimum(self._hits + hits.reshape(self._hits.shape), 4.0 * c.obstacle_hits)

    def ground(self) -> Ground:
        """What is known now.

        Raises:
            ValueError: before the first scan.
        """
        if self._origin is None:
            raise ValueError("the grid is empty: insert a scan first")
        c = self.config
        known = np.isfinite(self._height)
        measured = ndimage.distance_transform_edt(~known, return_indices=True)
        assert measured is not None
        distance, nearest = measured
        height = ndimage.median_filter(self._height[tuple(nearest)], 3)
        near = distance * c.cell_m <= c.fill_m
        high = ndimage.maximum_filter(np.where(near, height, -np.inf), 3)
        low = ndimage.minimum_filter(np.where(near, height, np.inf), 3)
        kerb = near & (high - low > c.kerb_m)
        return Ground(self._origin.copy(), c.cell_m, near & ~kerb, kerb, self._hits >= c.obstacle_hits)

    def _learn_ground(self, lowest: NDArray[np.float32]) -> None:
        """A mean of the lowest points: what stands on a cell raises none that was seen bare."""
        seen = lowest.reshape(self._height.shape)
        fresh = np.isfinite(seen) & (np.isnan(self._height) | (seen < self._height - 0.3))
        self._height[fresh] = seen[fresh]
        again = np.isfinite(seen) & (np.abs(seen - self._height) < 0.3)
        self._height[again] += self.config.gain * (seen - self._height)[again]

    def _follow(self, middle: NDArray[np.float64]) -> None:
        """Keep the vehicle near the middle of the grid; what leaves it is forgotten."""
        c = self.config
        if self._origin is None:
            self._origin = np.floor(middle / c.cell_m) * c.cell_m - 0.5 * c.size_m
        away = middle - self._origin - 0.5 * c.size_m
        if np.abs(away).max() <= _SHIFT_M:
            return
        shift = np.round(away / c.cell_m).astype(np.int64)
        self._origin = self._origin + shift * c.cell_m
        self._height, self._hits = _shifted(self._height, shift, np.nan), _shifted(self._hits, shift, 0.0)


def _shifted(layer: NDArray[np.float32], shift: NDArray[np.int64], empty: float) -> NDArray[np.float32]:
    """The layer of a grid whose origin moved by so many cells."""
    moved = np.full_like(layer, empty)
    take = [slice(max(0, k), len(layer) + min(0, k)) for k in shift.tolist()]
    give = [slice(max(0, -k), len(layer) + min(0, -k)) for k in shift.tolist()]
    moved[give[0], give[1]] = layer[take[0], take[1]]
    return moved
