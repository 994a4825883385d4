# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures that no map was built from, and one rule for judging what any method shows in their place.

Of every five pictures the last is held out: used for nothing, its scan for the pose alone. Judged at half resolution,
on the pixels within 4 px of a return of that scan, and on the whole picture, black where a method shows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, minimum_filter

from slam.gaussian_map.pictures import Developer
from slam.image_metrics import psnr, ssim
from slam.io.recording import Recording
from slam.measurements import Image, Scan
from slam.splatting.view import View

EVERY, SCALE, NEAR_PX = 5, 0.5, 4.0
NEAREST_M = 0.5
CELL_DEG = 0.5
"""Of the range pictures in which other scans look past a return."""
MARGIN_M, MARGIN_SHARE = 0.5, 0.05
SEEN_PAST = 3
"""So many of the other scans must look past where a return lies before it counts as of something that moves."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture with the scan of the same moment.

    Attributes:
        index: of the picture in the recording.
        stamp_ns: of both.
        picture: (H, W, 3) float32 in [0, 1] at half resolution, distortion undone.
        view: where from, odom.
        points: (N, 3) float64 of the scan, odom, metres.
        origin: (3,) of the LiDAR, odom.
    """

    index: int
    stamp_ns: int
    picture: NDArray[np.float32]
    view: View
    points: NDArray[np.float64]
    origin: NDArray[np.float64]

    @property
    def held_out(self) -> bool:
        return self.index % EVERY == EVERY - 1


@dataclass(frozen=True, slots=True)
class Score:
    """Of one rendering: decibels near the returns, the same without what moves, and on the whole picture; SSIM."""

    near_db: float
    still_db: float
    full_db: float
    ssim: float


def frames(recording: Recording, T_odom_base: dict[int, NDArray[np.float64]]) -> list[Frame]:
    """All pictures whose stamp is a scan's, with the (4, 4) pose of that stamp; scans that need no deskewing."""
    ((name, camera),) = recording.calibration.cameras.items()
    developer = Developer(camera, SCALE)
    found: list[Frame] = []
    scan: Scan | None = None
    index = -1
    for item in recording.measurements(images=True):
        if isinstance(item, Scan):
            scan = item
        elif isinstance(item, Image) and item.camera == name:
            index += 1
            if scan is not None and scan.stamp_ns == item.stamp_ns and item.stamp_ns in T_odom_base:
                T_odom_lidar = T_odom_base[item.stamp_ns] @ recording.calibration.T_base_lidar
                found.append(_frame(index, item, scan, T_odom_lidar, developer, T_odom_base[item.stamp_ns]))
    return found


def _frame(
    index: int, image: Image, scan: Scan, T_odom_lidar: NDArray, developer: Developer, T_odom_base: NDArray
) -> Frame:
    points = scan.points[np.isfinite(scan.points).all(axis=1)].astype(np.float64)
    points = points @ T_odom_lidar[:3, :3].T + T_odom_lidar[:3, 3]
    view = View.of(developer.camera, T_odom_base, SCALE)
    return Frame(index, image.stamp_ns, developer.develop(image.pixels), view, points, T_odom_lidar[:3, 3].copy())


def projected(view: View, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray]:
    """Those of (N, 3) points that fall into the view: (M, 2) pixels u, v, (M,) depths in metres, (M,) their indices."""
    seen = points @ view.T_camera_world[:3, :3].T + view.T_camera_world[:3, 3]
    ahead = np.flatnonzero(seen[:, 2] > NEAREST_M)
    seen = seen[ahead]
    pixels = seen[:, :2] / seen[:, 2:] * view.K[[0, 1], [0, 1]] + view.K[:2, 2]
    inside = np.all((pixels > -0.5) & (pixels < np.array([view.width, view.height]) - 0.5), axis=1)
    return pixels[inside], seen[inside, 2], ahead[inside]


def near_pixels(view: View, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(H, W) pixels within ``NEAR_PX`` of one of these points."""
    far = np.ones((view.height, view.width), bool)
    pixels, _, _ = projected(view, points)
    column, row = np.rint(pixels).astype(int).T
    far[row, column] = False
    return np.zeros_like(far) if far.all() else distance_transform_edt(far) <= NEAR_PX


class RangePicture:
    """The nearest range that a scan saw in each direction, over a cell and its eight neighbours."""

    def __init__(self, points: NDArray[np.float64], origin: NDArray[np.float64]) -> None:
        self.origin = origin
        shape = (round(180 / CELL_DEG) + 1, round(360 / CELL_DEG) + 1)
        near = np.full(shape, np.inf)
        cells, ranges = self._cells(points)
        np.minimum.at(near, cells, ranges)
        self._near = minimum_filter(near, 3)

    def _cells(self, points: NDArray[np.float64]) -> tuple[tuple[NDArray, NDArray], NDArray[np.float64]]:
        x, y, z = (points - self.origin).T
        ranges = np.maximum(np.sqrt(x * x + y * y + z * z), 1e-6)
        row = np.degrees(np.arcsin(np.clip(z / ranges, -1.0, 1.0))) + 90.0
        column = np.degrees(np.arctan2(y, x)) + 180.0
        return ((row / CELL_DEG).astype(int), (column / CELL_DEG).astype(int)), ranges

    def looks_past(self, points: NDArray[np.float64]) -> NDArray[np.int8]:
        """(N,) 1 where all that the scan saw in a point's direction lies clearly behind it, else 0."""
        cells, ranges = self._cells(points)
        near = self._near[cells]
        return (np.isfinite(near) & (near > ranges + np.maximum(MARGIN_M, MARGIN_SHARE * ranges))).astype(np.int8)


def moving(frame: Frame, others: list[RangePicture]) -> NDArray[np.bool_]:
    """(H, W) pixels near returns that other scans look past: what stands there was not there all the time."""
    _, _, seen = projected(frame.view, frame.points)
    points = frame.points[seen]
    return near_pixels(frame.view, points[sum(other.looks_past(points) for other in others) >= SEEN_PAST])


def score(rendering: NDArray, frame: Frame, moves: NDArray[np.bool_]) -> Score:
    """Of a rendering (H, W, 3), clipped to [0, 1]; ``moves`` (H, W) is left out of the second figure."""
    shown, near = np.clip(rendering, 0.0, 1.0).astype(np.float32), near_pixels(frame.view, frame.points)
    truth = frame.picture
    return Score(psnr(shown, truth, near), psnr(shown, truth, near & ~moves), psnr(shown, truth), ssim(shown, truth))


def mean_score(scores: list[Score]) -> Score:
    """Mean of each figure over pictures, as papers have it."""
    return Score(*(float(np.mean([getattr(s, name) for s in scores])) for name in Score.__dataclass_fields__))
