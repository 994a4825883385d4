# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Plane geometry of blocks and lots. Polygons are (N, 2) float64, counter-clockwise, metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Polygon = NDArray[np.float64]
_STRAIGHT = 0.05


def edge_normals(polygon: Polygon) -> Polygon:
    """(N, 2) unit normals of the edges i -> i+1, pointing inside."""
    along = np.roll(polygon, -1, axis=0) - polygon
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    return np.stack([-along[:, 1], along[:, 0]], axis=1)


def inset(polygon: Polygon, distances: ArrayLike) -> Polygon:
    """The polygon with edge i moved inside by ``distances[i]`` (outside where negative)."""
    normals = edge_normals(polygon)
    offsets = np.broadcast_to(np.asarray(distances, float), len(polygon))
    return np.array([_corner(polygon, normals, offsets, i) for i in range(len(polygon))])


def _corner(polygon: Polygon, normals: Polygon, offsets: NDArray[np.float64], i: int) -> NDArray[np.float64]:
    before, after = normals[i - 1], normals[i]
    if abs(before[0] * after[1] - before[1] * after[0]) < _STRAIGHT:
        mean = (before + after) / np.linalg.norm(before + after)
        return polygon[i] + mean * 0.5 * (offsets[i - 1] + offsets[i])
    return polygon[i] + np.linalg.solve(np.stack([before, after]), [offsets[i - 1], offsets[i]])


def rounded(polygon: Polygon, radius: float, step: float) -> Polygon:
    """Corners replaced by arcs (as far as the sides allow), then resampled about every ``step`` metres."""
    pieces = []
    for i, corner in enumerate(polygon):
        before, after = polygon[i - 1] - corner, polygon[(i + 1) % len(polygon)] - corner
        pieces.append(_arc(corner, before, after, radius))
    outline = np.concatenate(pieces)
    return resampled(outline, step)


def _arc(corner: Polygon, before: Polygon, after: Polygon, radius: float) -> Polygon:
    a, b = np.linalg.norm(before), np.linalg.norm(after)
    u, v = before / a, after / b
    half = 0.5 * np.arccos(np.clip(u @ v, -1.0, 1.0))
    if half > 0.5 * np.pi - _STRAIGHT:
        return corner[None]
    reach = min(radius / np.tan(half), 0.45 * a, 0.45 * b)
    weight = np.linspace(0.0, 1.0, 9)[:, None]
    start, end = corner + reach * u, corner + reach * v
    # The arc touches both sides: seen from its centre its points lie at equal angles.
    centre = corner + (u + v) / np.linalg.norm(u + v) * reach / np.cos(half)
    spokes = (1 - weight) * (start - centre) + weight * (end - centre)
    return centre + spokes / np.linalg.norm(spokes, axis=1, keepdims=True) * reach * np.tan(half)


def resampled(polygon: Polygon, step: float) -> Polygon:
    """Points about ``step`` apart along the closed outline; all corners stay."""
    pieces = []
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        count = max(1, int(np.ceil(np.linalg.norm(b - a) / step)))
        pieces.append(a + (b - a) * np.arange(count)[:, None] / count)
    return np.concatenate(pieces)


def contains(polygon: Polygon, points: ArrayLike, margin: float = 0.0) -> NDArray[np.bool_]:
    """(M,) whether (M, 2) points lie in the polygon, at least ``margin`` from its outline."""
    points = np.atleast_2d(np.asarray(points, float))
    a, b = polygon, np.roll(polygon, -1, axis=0)
    straddles = (a[:, 1] > points[:, None, 1]) != (b[:, 1] > points[:, None, 1])
    rise = np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
    crossing = a[:, 0] + (points[:, None, 1] - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
    inside = np.sum(straddles & (points[:, None, 0] < crossing), axis=1) % 2 == 1
    return inside & (outline_distance(polygon, points) >= margin)


def outline_distance(polygon: Polygon, points: ArrayLike) -> NDArray[np.float64]:
    """(M,) distance of (M, 2) points to the outline, metres."""
    points = np.atleast_2d(np.asarray(points, float))
    along = np.roll(polygon, -1, axis=0) - polygon
    relative = points[:, None] - polygon
    share = np.clip(np.sum(relative * along, axis=2) / np.sum(along**2, axis=1), 0.0, 1.0)
    return np.linalg.norm(relative - share[..., None] * along, axis=2).min(axis=1)


def rectangles_overlap(first: Polygon, second: Polygon, gap: float = 0.0) -> bool:
    """Whether two convex polygons come closer than ``gap`` (separating axes: exact but for corner to corner)."""
    for normal in np.concatenate([edge_normals(first), edge_normals(second)]):
        a, b = first @ normal, second @ normal
        if a.max() + gap <= b.min() or b.max() + gap <= a.min():
            return False
    return True
