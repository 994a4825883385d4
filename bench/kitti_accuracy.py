# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""KITTI 0005 against the car's own velocity and yaw, and 0005 and 0052 against other odometries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.kitti_drives import DRIVE_0005, DRIVE_0052, bundles, opened, peer_trajectories
from bench.places import OUT
from bench.rows import Report
from slam.metrics import evaluate
from slam.replay import ReplayResult, replay
from slam.results import State
from slam.trajectory import Trajectory

PERIOD_S = 0.1037
"""Of a sweep of drive 0005."""
START_SCANS = 12
"""So many scans the constant-velocity peers need on 0052 until they have caught up with the moving car."""


def main() -> None:
    report = Report("kitti_accuracy")
    report.attempt(f"lidar/{DRIVE_0005}", _drive_0005)
    report.attempt(f"lidar/{DRIVE_0052}", _drive_0052)
    report.save()


def _drive_0005(report: Report) -> None:
    recording = opened(DRIVE_0005)
    lidar_only = replay(recording, use_imu=False)
    with_imu = replay(recording)
    others = peer_trajectories(bundles(recording, use_imu=False))
    ways = {"ours, LiDAR only": lidar_only.trajectory(), "ours, with IMU": with_imu.trajectory(), **others}
    T_lidar_imu = np.linalg.inv(recording.calibration.T_base_lidar) @ recording.calibration.T_base_imu
    residuals = {name: oxts_residuals(way, T_lidar_imu) for name, way in ways.items()}
    found = residuals["ours, LiDAR only"]
    report.at_most("0005, LiDAR only: speed residual, standard deviation", found[0], 12.5, "mm a frame", 1)
    report.at_most("0005, LiDAR only: yaw residual", found[2], 0.05, "deg a frame")
    for name, other in others.items():
        report.at_most(f"0005, LiDAR only: ATE to {name}'s trajectory", ate(lidar_only.trajectory(), other), 0.06)
    _health(report, "0005", {"LiDAR only": lidar_only, "with IMU": with_imu})
    rows = [
        [
            name, *(f"{value:.1f}" for value in residuals[name][:2]), f"{residuals[name][2]:.3f}",
            *("-" if name == other else f"{ate(way, partner):.3f}" for other, partner in others.items()),
        ]
        for name, way in ways.items()
    ]  # fmt: skip
    columns = [
        "odometry",
        "speed std, mm a frame",
        "speed bias",
        "yaw rms, deg a frame",
        *(f"ATE to {o}, m" for o in others),
    ]
    report.table("Drive 0005 against OXTS velocity and yaw (never inputs), and against the peers", columns, rows)


def _drive_0052(report: Report) -> None:
    recording = opened(DRIVE_0052)
    result = replay(recording, use_imu=False)
    others = peer_trajectories(bundles(recording, use_imu=False))
    for name, other in others.items():
        report.at_most(f"0052: ATE to {name}'s trajectory", ate(result.trajectory(), other), 0.06)
    _health(report, "0052", {"LiDAR only": result})
    ways = {"ours": result.trajectory(), **others}
    pairs = [("ours", "kiss-icp"), ("ours", "VGICP"), ("kiss-icp", "VGICP")]
    rows = [
        [f"{a} to {b}", f"{ate(ways[a], ways[b]):.3f} m", f"{ate(ways[a], ways[b], START_SCANS):.3f} m"]
        for a, b in pairs
    ]
    report.table(
        "Drive 0052, ATE between the odometries", ["pair", "all scans", f"without the first {START_SCANS} scans"], rows
    )
    report.note(
        "Drive 0052 begins at speed. Both peers start from standstill and lose way in the first scans; the camera "
        " (topic kitti_camera) says which of the three is right."
    )


def _health(report: Report, drive: str, results: dict[str, ReplayResult]) -> None:
    doubted = {name: sum(scan.health.state is not State.OK for scan in r.results) for name, r in results.items()}
    told = ", ".join(f"{count} ({name})" for name, count in doubted.items())
    report.row(f"{drive}: scans called degraded or lost", "0", told, not any(doubted.values()))


def ate(estimate: Trajectory, other: Trajectory, skip: int = 0) -> float:
    """Root mean square position error after alignment, metres, without the first ``skip`` scans."""
    part = slice(skip, None)
    return evaluate(estimate.select(part), other.select(part)).ate_m.rmse


def oxts_residuals(way: Trajectory, T_lidar_imu: NDArray[np.float64]) -> tuple[float, float, float]:
    """Motion from scan to scan against the car's own: speed std and bias (mm a frame), yaw rms (degrees a frame).

    Args:
        way: poses of the LiDAR, one for each scan of the drive.
        T_lidar_imu: (4, 4) where the inertial unit sits.
    """
    rows = _oxts_rows()[: len(way)]
    poses = way.matrices() @ T_lidar_imu
    steps = np.linalg.inv(poses[:-1]) @ poses[1:]
    speed = np.linalg.norm(rows[:, 8:11], axis=1)
    way_mm = 1e3 * (np.linalg.norm(steps[:, :3, 3], axis=1) - PERIOD_S * 0.5 * (speed[1:] + speed[:-1]))
    turn = np.arctan2(steps[:, 1, 0], steps[:, 0, 0]) - np.diff(np.unwrap(rows[:, 5]))
    return float(way_mm.std()), float(way_mm.mean()), float(np.degrees(np.sqrt(np.mean(turn**2))))


def _oxts_rows() -> NDArray[np.float64]:
    folder: Path = next((OUT / "kitti").glob("*/*_0005_sync/oxts/data"))
    return np.array([np.loadtxt(path) for path in sorted(folder.glob("*.txt"))])


if __name__ == "__main__":
    main()
