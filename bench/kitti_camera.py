# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How far KITTI 0052 moves in its first scans, by the camera: features with LiDAR depth, tracked and solved for pose.

Both peers start that drive from standstill although the car moves, so their first metres are no truth. Visual
odometry is an independent witness: Shi-Tomasi corners with the depth of the scan, tracked by Lucas-Kanade with a
check back, and perspective-n-point with RANSAC. Needs OpenCV: ``pip install opencv-python-headless``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from bench.kitti_drives import DRIVE_0052, bundles, opened, peer_trajectories
from bench.places import OUT
from bench.rows import Report
from slam.calibration import Camera
from slam.replay import replay

SEGMENTS = ((0, 6), (6, 12), (12, 18), (18, 24))
NEAREST_M = 3.0
DEPTH_WINDOW_PX = 4.0
DEPTH_SPREAD = 0.03
"""Returns about a feature that differ by a larger share of their depth lie on an edge: no depth there."""
BACK_TRACK_PX = 0.3
WHAT = "0052: way by the camera against the odometries'"


@dataclass(frozen=True, slots=True)
class Depths:
    """Returns of one scan as its image sees them: (N, 2) pixels and (N,) metres along the optical axis."""

    pixels: NDArray[np.float64]
    metres: NDArray[np.float64]

    def at(self, pixel: NDArray[np.float64]) -> float | None:
        """Depth of a feature, None where returns are few or disagree."""
        near = np.abs(self.pixels - pixel).max(axis=1) < DEPTH_WINDOW_PX
        metres = self.metres[near]
        if len(metres) < 3 or np.ptp(metres) > DEPTH_SPREAD * metres.min():
            return None
        return float(np.median(metres))


def main() -> None:
    report = Report("kitti_camera")
    try:
        import cv2
    except ImportError:
        report.skip(WHAT, "OpenCV is not installed: pip install opencv-python-headless")
    else:
        report.attempt(f"lidar/{DRIVE_0052}", lambda into: _measure(into, cv2))
    report.note("Needs OpenCV, which is no dependency: `pip install opencv-python-headless`.")
    report.save()


def _measure(report: Report, cv2: ModuleType) -> None:
    recording = opened(DRIVE_0052)
    scans = bundles(recording, use_imu=False)
    (name, camera), *_ = recording.calibration.cameras.items()
    folder = next((OUT / "kitti").glob(f"*/*_0052_sync/{name}/data"))
    T_camera_lidar = np.linalg.inv(camera.T_base_camera) @ recording.calibration.T_base_lidar
    ways = {"ours": replay(recording, use_imu=False).trajectory(), **peer_trajectories(scans)}
    seen, errors = [], {who: [] for who in ways}
    for start, end in SEGMENTS:
        depths = _depths(scans[start].scan.points, camera, T_camera_lidar)
        T, inliers = _motion(cv2, _pictures(cv2, folder, start, end), depths, camera)
        by_camera = float(np.linalg.norm((np.linalg.inv(T_camera_lidar) @ T @ T_camera_lidar)[:3, 3]))
        by_scans = {who: float(np.linalg.norm(way.positions[end] - way.positions[start])) for who, way in ways.items()}
        for who, metres in by_scans.items():
            errors[who].append(metres - by_camera)
        seen.append([f"{start} to {end}", *(f"{m:.3f}" for m in (by_camera, *by_scans.values())), inliers])
    report.table("Way of the LiDAR between scans, metres", ["scans", "camera", *ways, "features"], seen)
    told = {who: float(np.sqrt(np.mean(np.square(values)))) for who, values in errors.items()}
    listed = ", ".join(f"{who} {value:.3f} m" for who, value in told.items())
    report.row(
        f"{WHAT}: root mean square over the segments", "ours the smallest", listed, told["ours"] == min(told.values())
    )
    first = {who: values[0] for who, values in errors.items()}
    report.row("the same, first segment alone", "", ", ".join(f"{who} {value:+.3f} m" for who, value in first.items()))


def _pictures(cv2: ModuleType, folder: Path, start: int, end: int) -> list[NDArray[np.uint8]]:
    files = sorted(folder.iterdir())[start : end + 1]
    return [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in files]


def _depths(points: NDArray, camera: Camera, T_camera_lidar: NDArray[np.float64]) -> Depths:
    seen = points.astype(np.float64) @ T_camera_lidar[:3, :3].T + T_camera_lidar[:3, 3]
    seen = seen[seen[:, 2] > NEAREST_M]
    pixels = seen @ camera.K.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    inside = np.all((pixels > 0) & (pixels < [camera.width, camera.height]), axis=1)
    return Depths(pixels[inside], seen[inside, 2])


def _motion(
    cv2: ModuleType, pictures: list[NDArray[np.uint8]], depths: Depths, camera: Camera
) -> tuple[NDArray[np.float64], int]:
    """(4, 4) pose of the last picture's camera in the first one's, and the features that agree."""
    start, end = _tracked(cv2, pictures)
    metres = [depths.at(pixel) for pixel in start]
    known = np.array([depth is not None for depth in metres])
    rays = np.column_stack([start[known], np.ones(known.sum())]) @ np.linalg.inv(camera.K).T
    points = rays * np.array([depth for depth in metres if depth is not None])[:, None]
    pixels = np.ascontiguousarray(end[known])
    _, turn, shift, agree = cv2.solvePnPRansac(
        points, pixels, camera.K, None, reprojectionError=1.0, iterationsCount=5000, confidence=0.9999
    )
    agree = agree[:, 0]
    turn, shift = cv2.solvePnPRefineLM(points[agree], pixels[agree], camera.K, None, turn, shift)
    T_last_first = np.eye(4)
    T_last_first[:3, :3], T_last_first[:3, 3] = cv2.Rodrigues(turn)[0], shift[:, 0]
    return np.linalg.inv(T_last_first), len(agree)


def _tracked(cv2: ModuleType, pictures: list[NDArray[np.uint8]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 2) features of the first picture, and where the last one shows them."""
    start = cv2.goodFeaturesToTrack(pictures[0], 3000, 0.005, 5)
    now, kept = start, np.ones(len(start), bool)
    options = {"winSize": (15, 15), "maxLevel": 3}
    for before, after in pairwise(pictures):
        then, found, _ = cv2.calcOpticalFlowPyrLK(before, after, now, None, **options)
        back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, then, None, **options)
        kept &= (found[:, 0] == 1) & (found_back[:, 0] == 1)
        kept &= np.linalg.norm(back - now, axis=-1)[:, 0] < BACK_TRACK_PX
        now = then
    return start[kept, 0].astype(np.float64), now[kept, 0].astype(np.float64)


if __name__ == "__main__":
    main()
