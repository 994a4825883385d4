# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Geometry of boxes: corners, what lies inside, how far two overlap, where they stand in another frame or a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detection.sample import Boxes
from slam.calibration import Camera
from slam.gaussian_map.pictures import distorted

# Lower four, then upper four; counter-clockwise seen from above, the front left one first.
_CORNERS = np.array(
    [[1, 1, -1], [-1, 1, -1], [-1, -1, -1], [1, -1, -1], [1, 1, 1], [-1, 1, 1], [-1, -1, 1], [1, -1, 1]]
)
_EPS = 1e-9


def wrap_angle(angle: ArrayLike) -> NDArray[np.float64]:
    """Angles in [-pi, pi), radians."""
    return (np.asarray(angle, np.float64) + np.pi) % (2.0 * np.pi) - np.pi


def corners(boxes: Boxes) -> NDArray[np.float64]:
    """(N, 8, 3) corners, metres: the lower four, then the upper four, each counter-clockwise from the front left."""
    local = 0.5 * boxes.size[:, None, :].astype(np.float64) * _CORNERS
    return boxes.centre[:, None, :] + _turned(local, boxes.yaw[:, None])


def points_in_boxes(points: NDArray[np.floating], boxes: Boxes, margin_m: float = 0.0) -> NDArray[np.int64]:
    """(N,) how many of (P, 3) points lie in each box, faces included, enlarged by a margin on every side."""
    return np.array([len(_inside(points, boxes, number, margin_m)) for number in range(len(boxes))], np.int64)


def owner_of_points(points: NDArray[np.floating], boxes: Boxes, margin_m: float = 0.0) -> NDArray[np.int64]:
    """(P,) number of the box that each point (P, 3) lies in, -1 for none; the smaller box where several hold it."""
    owner = np.full(len(points), -1, np.int64)
    for number in np.argsort(-boxes.size.prod(axis=1), kind="stable"):
        owner[_inside(points, boxes, int(number), margin_m)] = number
    return owner


def bev_iou(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """(N, M) intersection over union of the boxes' outlines seen from above."""
    shared = _shared_area(first, second)
    area = first.size[:, None, :2].prod(axis=-1) + second.size[None, :, :2].prod(axis=-1)
    return shared / np.maximum(area - shared, _EPS)


def iou_3d(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """(N, M) intersection over union of the boxes' volumes."""
    low = np.maximum(*(one.centre[:, 2] - 0.5 * one.size[:, 2] for one in _pairs(first, second)))
    high = np.minimum(*(one.centre[:, 2] + 0.5 * one.size[:, 2] for one in _pairs(first, second)))
    shared = _shared_area(first, second) * np.maximum(high - low, 0.0).reshape(len(first), len(second))
    volume = first.size.prod(axis=1)[:, None] + second.size.prod(axis=1)[None]
    return shared / np.maximum(volume - shared, _EPS)


def first_of_each(same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) which of things, the best first, stay: those that are not the same thing as a better one that stays.

    Args:
        same: (N, N), of each with each; what stands on and above the diagonal is not looked at.
    """
    better = np.tril(same, -1)
    stays = np.ones(len(same), bool)
    for number in np.flatnonzero(better.any(axis=1)):
        stays[number] = not (better[number] & stays).any()
    return stays


def moved(boxes: Boxes, T: NDArray[np.float64]) -> Boxes:
    """Boxes in another frame: ``T`` (4, 4) maps points of theirs into it; of its rotation, yaw turns with x's image."""
    ahead = np.stack([np.cos(boxes.yaw), np.sin(boxes.yaw), np.zeros(len(boxes))], axis=1) @ T[:3, :3].T
    centre = boxes.centre @ T[:3, :3].T + T[:3, 3]
    flat = np.concatenate([boxes.velocity, np.zeros((len(boxes), 1))], axis=1) @ T[:3, :3].T
    yaw = np.arctan2(ahead[:, 1], ahead[:, 0])
    kept = {"centre": centre, "yaw": yaw, "velocity": flat[:, :2]}
    return replace(boxes, **{name: value.astype(np.float32) for name, value in kept.items()})


def project(camera: Camera, points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 2) pixels, distorted, and (N,) depth in metres, of (N, 3) points in base_link.

    Pixels of points behind the camera (depth <= 0) are NaN.
    """
    T = np.linalg.inv(camera.T_base_camera)
    seen = points @ T[:3, :3].T + T[:3, 3]
    depth = seen[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        ideal = np.where(depth[:, None] > 0.0, seen[:, :2] / depth[:, None], np.nan)
    return distorted(camera, ideal), depth


def _turned(vectors: NDArray[np.float64], yaw: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 3) or (..., 2) vectors turned about +z by (...) angles."""
    c, s = np.cos(yaw), np.sin(yaw)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([c * x - s * y, s * x + c * y, *(vectors[..., k] for k in range(2, vectors.shape[-1]))], axis=-1)


def _inside(points: NDArray[np.floating], boxes: Boxes, number: int, margin_m: float) -> NDArray[np.int64]:
    """Indices of the points (P, 3) in one box."""
    half = 0.5 * boxes.size[number].astype(np.float64) + margin_m
    away = points[:, :3] - boxes.centre[number].astype(np.float64)
    near = np.flatnonzero(
        (np.abs(away[:, :2]).max(axis=1) <= np.hypot(half[0], half[1])) & (np.abs(away[:, 2]) <= half[2])
    )
    local = _turned(away[near], np.asarray(-boxes.yaw[number]))
    return near[(np.abs(local) <= half).all(axis=1)]


def _pairs(first: Boxes, second: Boxes) -> tuple[Boxes, Boxes]:
    """Both lists, repeated so that they stand pair beside pair, N * M of them."""
    i, j = np.divmod(np.arange(len(first) * len(second)), max(len(second), 1))
    return first.pick(i), second.pick(j)


def _shared_area(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """(N, M) area that two outlines share, m^2; computed for those alone that are near enough."""
    shared = np.zeros((len(first), len(second)))
    reach = 0.5 * (np.linalg.norm(first.size[:, None, :2], axis=-1) + np.linalg.norm(second.size[None, :, :2], axis=-1))
    away = np.linalg.norm(first.centre[:, None, :2] - second.centre[None, :, :2], axis=-1)
    i, j = np.nonzero(away < reach)
    if i.size:
        shared[i, j] = _intersection(first.pick(i), second.pick(j))
    return shared


def _intersection(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """(K,) shared area of K pairs of rectangles: the polygon of corners of one in the other and of crossing edges."""
    a = _turned(0.5 * first.size[:, None, :2] * _CORNERS[:4, :2], first.yaw[:, None])
    offset = (second.centre - first.centre)[:, None, :2].astype(np.float64)
    b = _turned(0.5 * second.size[:, None, :2] * _CORNERS[:4, :2], second.yaw[:, None]) + offset
    crossing, met = _crossings(a, b)
    points = np.concatenate([a, b, crossing], axis=1)
    valid = np.concatenate([_within(a - offset, second), _within(b, first), met], axis=1)
    return _hull_area(points, valid)


def _within(points: NDArray[np.float64], boxes: Boxes) -> NDArray[np.bool_]:
    """(K, n) whether points, from the box's centre, lie in its outline."""
    local = _turned(points, -boxes.yaw[:, None])
    return (np.abs(local) <= 0.5 * boxes.size[:, None, :2] + 1e-6).all(axis=-1)


def _crossings(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(K, 16, 2) where the edges of two quadrilaterals (K, 4, 2) cross, and (K, 16) whether they do."""
    start, along = a[:, :, None], (np.roll(a, -1, axis=1) - a)[:, :, None]
    other, across = b[:, None], (np.roll(b, -1, axis=1) - b)[:, None]
    gap = other - start
    bend = along[..., 0] * across[..., 1] - along[..., 1] * across[..., 0]
    safe = np.where(np.abs(bend) > _EPS, bend, 1.0)
    t = (gap[..., 0] * across[..., 1] - gap[..., 1] * across[..., 0]) / safe
    u = (gap[..., 0] * along[..., 1] - gap[..., 1] * along[..., 0]) / safe
    met = (np.abs(bend) > _EPS) & (t >= 0.0) & (t <= 1.0) & (u >= 0.0) & (u <= 1.0)
    return (start + t[..., None] * along).reshape(len(a), 16, 2), met.reshape(len(a), 16)


def _hull_area(points: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(K,) area of the convex polygons whose corners are those of (K, n, 2) points that are valid."""
    count = np.maximum(valid.sum(axis=1), 1)
    middle = (points * valid[..., None]).sum(axis=1) / count[:, None]
    away = points - middle[:, None]
    angle = np.where(valid, np.arctan2(away[..., 1], away[..., 0]), np.inf)
    order = np.argsort(angle, axis=1)
    ring = np.take_along_axis(away, order[..., None], axis=1)
    # Places after the last corner repeat the first one, and add nothing.
    ring = np.where((np.arange(valid.shape[1]) < count[:, None])[..., None], ring, ring[:, :1])
    after = np.roll(ring, -1, axis=1)
    area = 0.5 * np.abs((ring[..., 0] * after[..., 1] - ring[..., 1] * after[..., 0]).sum(axis=1))
    return np.where(valid.sum(axis=1) >= 3, area, 0.0)
