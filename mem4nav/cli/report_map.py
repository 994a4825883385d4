# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A picture of a map of small planes, seen from above and aside: discs drawn into a depth buffer, edges darkened.

The shading is eye-dome lighting (Boucheny 2009): a pixel is darker the farther it lies behind its neighbours, which
gives the map the look of solid things without any surface.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIZE = (1600, 900)
OVERSAMPLING = 2
MAX_POINTS = 3_000_000
DISC_POINTS = (9, 30_000)
LIGHT = np.array([0.35, -0.45, 0.82])
ELEVATION_DEG = 42.0
FIELD_OF_VIEW_DEG = 32.0
BACKGROUND = (250, 250, 249)
PATH_COLOR = (214, 69, 45)
EDGE_STRENGTH = 60.0

HEIGHTS = LinearSegmentedColormap.from_list(
    "heights", ["#7f8ea6", "#5c94a8", "#58a89a", "#9dc183", "#e6cf7a", "#f0a95b"]
)


@dataclass(frozen=True, slots=True)
class View:
    """A pinhole camera that looks down on a scene.

    Attributes:
        R: (3, 3) float64, world into camera (x right, y down, z forward).
        eye: (3,) float64, metres.
        focal_px: focal length, pixels.
        size: width and height, pixels.
    """

    R: NDArray[np.float64]
    eye: NDArray[np.float64]
    focal_px: float
    size: tuple[int, int]

    def project(self, points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels (N, 2) and depths (N,) in metres of (N, 3) points."""
        local = (points - self.eye) @ self.R.T
        depth = np.maximum(local[:, 2], 1e-6)
        center = np.array(self.size) / 2.0
        return self.focal_px * local[:, :2] / depth[:, None] + center, local[:, 2]


def picture(
    points: NDArray[np.floating],
    normals: NDArray[np.floating],
    radii: NDArray[np.floating],
    path: NDArray[np.float64],
) -> bytes | None:
    """Draw a map and the way through it.

    Args:
        points: (M, 3) centres of planes, metres, z up.
        normals: (M, 3) unit normals.
        radii: (M,) how far the planes reach, metres.
        path: (N, 3) positions in the same frame.

    Returns:
        a PNG, or None where there are too few points for a picture.
    """
    points = np.asarray(points, dtype=np.float64)
    if len(points) < 100:
        return None
    low, high = np.percentile(points, [0.7, 99.3], axis=0)
    view = look_at(points[:: max(1, len(points) // 20000)], low, high, path)
    light = 0.72 + 0.28 * np.abs(normals @ LIGHT)  # normals have no sign: both sides are lit
    image = Image.fromarray(_shade(*_discs(points, normals, radii, light), view, low[2], high[2]))
    _draw_path(image, view, path)
    small = image.resize(SIZE, Image.Resampling.LANCZOS).quantize(256, dither=Image.Dither.NONE)
    packed = io.BytesIO()
    small.save(packed, "PNG", optimize=True)
    return packed.getvalue()


def look_at(
    points: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], path: NDArray[np.float64]
) -> View:
    """The view along the longer side of the map, as close as shows all that lies between ``low`` and ``high``."""
    size = (SIZE[0] * OVERSAMPLING, SIZE[1] * OVERSAMPLING)
    focal = size[0] / 2.0 / np.tan(np.radians(FIELD_OF_VIEW_DEG) / 2.0)
    R = _rotation(points, path)
    inside = points[((points >= low) & (points <= high)).all(axis=1)]
    center = (low + high) / 2.0
    local = (inside - center) @ R.T
    # |focal * x / (z + far)| must stay inside half the picture, for each point and both axes
    half = np.array(size) / 2.0 * 0.94
    far = float(np.max(focal * np.abs(local[:, :2]) / half - local[:, 2:]))
    return View(R, center - far * R[2], float(focal), size)


def _rotation(points: NDArray[np.float64], path: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = path if len(path) > 1 and np.ptp(path[:, :2]) > 5.0 else points
    _, axes = np.linalg.eigh(np.cov(spread[:, :2].T))
    right = np.array([*axes[:, 1], 0.0])  # the way's longer side lies across the picture
    right *= 1.0 if right[0] >= 0.0 else -1.0
    along = np.cross([0.0, 0.0, 1.0], right)
    down = np.radians(ELEVATION_DEG)
    forward = np.cos(down) * along - np.sin(down) * np.array([0.0, 0.0, 1.0])
    return np.stack([right, np.cross(forward, right), forward])


def _discs(
    centers: NDArray[np.float64],
    normals: NDArray[np.floating],
    radii: NDArray[np.floating],
    light: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (K, 3) spread over a disc about each centre, more on larger ones, and the light (K,) on each."""
    share = radii**2 / max(float(np.sum(radii**2)), 1e-9)
    counts = np.clip(MAX_POINTS * share, *DISC_POINTS).astype(np.int64)
    owner = np.repeat(np.arange(len(centers)), counts)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    angle = number * np.pi * (3.0 - np.sqrt(5.0))  # a sunflower: even over the disc
    reach = radii[owner] * np.sqrt((number + 0.5) / counts[owner])
    helper = np.where(np.abs(normals[:, [2]]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    first = np.cross(normals, helper)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-9)
    second = np.cross(normals, first)
    points = centers[owner] + (reach * np.cos(angle))[:, None] * first[owner]
    points += (reach * np.sin(angle))[:, None] * second[owner]
    return points, light[owner]


def _shade(
    points: NDArray[np.float64], light: NDArray[np.float64], view: View, low_m: float, high_m: float
) -> NDArray[np.uint8]:
    depth, nearest = _splat(points, view)
    seen = nearest >= 0
    part = np.clip((points[nearest, 2] - low_m) / max(high_m - low_m, 1e-6), 0.0, 1.0)
    color = HEIGHTS(part)[..., :3] * (light[nearest] * _edges(depth))[..., None]
    background = np.array(BACKGROUND) / 255.0
    return (255.0 * np.where(seen[..., None], color, background)).astype(np.uint8)


def _splat(points: NDArray[np.float64], view: View) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Depth (H, W) and index (H, W) of the nearest point of each pixel; infinite and -1 where there is none."""
    width, height_px = view.size
    pixels, depth = view.project(points)
    column, row = np.floor(pixels).astype(np.int64).T
    visible = (depth > 0.0) & (column >= 0) & (row >= 0) & (column < width - 1) & (row < height_px - 1)
    index = np.flatnonzero(visible)
    index = index[np.argsort(-depth[index])]  # far ones first: the nearest is written last, and stays
    depths, nearest = np.full(width * height_px, np.inf), np.full(width * height_px, -1)
    flat = row[index] * width + column[index]
    for offset in (0, 1, width, width + 1):  # a point covers two by two pixels, one of the final picture
        nearer = depth[index] < depths[flat + offset]
        depths[flat[nearer] + offset] = depth[index[nearer]]
        nearest[flat[nearer] + offset] = index[nearer]
    return depths.reshape(height_px, width), nearest.reshape(height_px, width)


def _edges(depth: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithm = np.log(np.where(np.isfinite(depth), depth, np.nanmax(depth[np.isfinite(depth)]) * 4.0))
    behind = np.zeros_like(logarithm)
    for down, right in ((0, 3), (0, -3), (3, 0), (-3, 0), (2, 2), (-2, -2), (2, -2), (-2, 2)):
        neighbour = np.roll(logarithm, (down, right), axis=(0, 1))
        behind += np.clip(logarithm - neighbour, 0.0, 0.05)
    return np.exp(-EDGE_STRENGTH * behind / 8.0)


def _draw_path(image: Image.Image, view: View, path: NDArray[np.float64]) -> None:
    if len(path) < 2:
        return
    pixels, depth = view.project(path)
    corners = [tuple(pixel) for pixel, distance in zip(pixels, depth, strict=True) if distance > 0.0]
    halo = Image.new("L", image.size, 0)
    ImageDraw.Draw(halo).line(corners, fill=235, width=7 * OVERSAMPLING, joint="curve")
    image.paste((255, 255, 255), mask=halo.filter(ImageFilter.GaussianBlur(OVERSAMPLING)))
    ImageDraw.Draw(image).line(corners, fill=PATH_COLOR, width=4 * OVERSAMPLING, joint="curve")
