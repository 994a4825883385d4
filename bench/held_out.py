# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures that no map was built from, and one rule for judging what any method shows in their place.

Of every five pictures the last is held out: used for nothing, its scan for the pose alone. Judged at half resolution,
on the pixels within 4 px of a return of that scan, and on the whole picture, black where a method shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, minimum_filter

from slam.gaussian_map.pictures import Developer
from slam.image_metrics import psnr, ssim
from slam.io.recording import Recording
from slam.measurements import Image, Scan
from slam.splatting.view import View
from slam.trajectory import Trajectory

EVERY, SCALE, NEAR_PX = 5, 0.5, 4.0
NEAREST_M = 0.5
CELL_DEG = 0.5
"""Of the range pictures in which other scans look past a return."""
MARGIN_M, MARGIN_SHARE = 0.5, 0.05
SEEN_PAST = 3
"""So many of the other scans must look past where a return lies before it counts as of something that moves."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture with the scan that was being taken.

    Attributes:
        index: of the picture in the recording.
        stamp_ns: of the picture.
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


def frames(recording: Recording, way: Trajectory) -> Iterator[Frame]:
    """The pictures of a recording's only camera, each with the scan that was being taken.

    Args:
        way: base_link in odom; pictures outside its time are passed over.
    """
    ((_, camera),) = recording.calibration.cameras.items()
    developer = Developer(camera, SCALE)
    waiting: list[tuple[int, Image]] = []
    scan: Scan | None = None
    index = -1
    for item in recording.measurements(images=True):
        if isinstance(item, Image):
            waiting.append((index := index + 1, item))
        elif isinstance(item, Scan):
            yield from _taken(waiting, item.stamp_ns, scan, way, recording, developer)
            waiting = [(number, image) for number, image in waiting if image.stamp_ns >= item.stamp_ns]
            scan = item
    yield from _taken(waiting, int(way.stamps_ns[-1]) + 1, scan, way, recording, developer)


def _taken(
    waiting: list[tuple[int, Image]],
    until_ns: int,
    scan: Scan | None,
    way: Trajectory,
    recording: Recording,
    developer: Developer,
) -> Iterator[Frame]:
    first_ns, last_ns = way.stamps_ns[0], way.stamps_ns[-1]
    for index, image in waiting:
        if scan is None or not max(scan.stamp_ns, first_ns) <= image.stamp_ns <= min(until_ns - 1, last_ns):
            continue
        points, origin = _placed(scan, way, recording.calibration.T_base_lidar)
        view = View.of(developer.camera, way.at(image.stamp_ns).matrices()[0], SCALE)
        yield Frame(index, image.stamp_ns, developer.develop(image.pixels), view, points, origin)


def _placed(
    scan: Scan, way: Trajectory, T_base_lidar: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 3) points in odom, each by the pose of its own time, and (3,) the LiDAR at the scan's stamp."""
    finite = np.isfinite(scan.points).all(axis=1)
    offsets = np.zeros(len(scan.points), np.int64) if scan.offsets_ns is None else scan.offsets_ns
    times, which = np.unique(np.append(offsets[finite], 0) + scan.stamp_ns, return_inverse=True)
    T = way.at(np.clip(times, way.stamps_ns[0], way.stamps_ns[-1])).matrices() @ T_base_lidar
    points = np.append(scan.points[finite].astype(np.float64), np.zeros((1, 3)), axis=0)
    placed = np.einsum("nij,nj->ni", T[which, :3, :3], points) + T[which, :3, 3]
    return placed[:-1], placed[-1]


def projected(view: View, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray]:
    """Those of (N, 3) points that fall into the view: (M, 2) pixels u, v, (M,) depths in metres, (M,) their indices."""
    pixels, depths = view.project(points)
    inside = np.all((pixels > -0.5) & (pixels < np.array([view.width, view.height]) - 0.5), axis=1)
    inside = np.flatnonzero(inside & (depths > NEAREST_M))
    return pixels[inside], depths[inside], inside


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
