# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A replay and a recording that cost nothing: what the command line does with results needs no odometry."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from slam.calibration import Calibration
from slam.gaussian_map.held_out import ViewScore
from slam.results import Health, ScanResult, State
from slam.trajectory import Trajectory

PERIOD_NS = 100_000_000
FIRST_NS = 1_700_000_000_000_000_000


class FakeMap:
    """Stands for ``slam.octree.PlaneMap``."""

    def planes(self) -> NDArray[np.float64]:
        return np.full((400, 16), 0.25)


@dataclass(frozen=True)
class FakeResult:
    """Stands for ``slam.replay.ReplayResult``."""

    results: list[ScanResult]
    map_points: NDArray[np.float32]
    map_normals: NDArray[np.float32]
    map: FakeMap = field(default_factory=FakeMap)
    tilt: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    log: list[str] = field(default_factory=lambda: ["1.0 s: start <at rest>"])
    read_wall_s: float = 0.5
    read_cpu_s: float = 0.4
    wall_s: float = 2.0
    duration_s: float = 10.0
    gaussians: list[int] | None = None
    scores: list[ViewScore] = field(default_factory=list)
    strip: list[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]] = field(default_factory=list)
    mapping_s: float = 0.0

    def trajectory(self) -> Trajectory:
        return self.base_trajectory().relative()

    def base_trajectory(self) -> Trajectory:
        stamps = [result.stamp_ns for result in self.results]
        return Trajectory.from_matrices(stamps, [result.T_odom_base for result in self.results])


@dataclass
class FakeRecording:
    """Stands for an opened bag."""

    truth: Trajectory | None = None
    name: str = "a drive"
    calibration: Calibration = field(default_factory=Calibration)
    notes: list[str] = field(default_factory=lambda: ["points: time field t, in ns"])
    scan_count: int = 100

    def ground_truth(self) -> Trajectory | None:
        return self.truth


def way(count: int = 100) -> NDArray[np.float64]:
    """(N, 4, 4) poses round a bend."""
    angle = np.linspace(0.0, 1.5, count)
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = Rotation.from_euler("z", angle[:, None]).as_matrix()
    T[:, :3, 3] = np.stack([20.0 * np.sin(angle), 20.0 * (1.0 - np.cos(angle)), 0.1 * angle], axis=1)
    return T


def stamps(count: int = 100) -> NDArray[np.int64]:
    return FIRST_NS + np.arange(count) * PERIOD_NS


def healthy(count: int = 100) -> FakeResult:
    """All is well, and each pose is 1 cm off in a direction of its own."""
    return _result(way(count), [Health()] * count, [0] * count)


def troubled(count: int = 100) -> FakeResult:
    """Degraded for ten scans, lost for three, then a new segment."""
    degraded = Health(State.DEGRADED, np.array([[1.0, 0, 0]]), ("1 axis rests on <IMU> alone: 0.25 of 1",))
    lost = Health(State.LOST, reasons=("12 of 800 points found a plane",))
    verdicts = [degraded if 20 <= i < 30 else lost if 60 <= i < 63 else Health() for i in range(count)]
    return _result(way(count), verdicts, [int(i >= 63) for i in range(count)])


def pictured(count: int = 100) -> FakeResult:
    """All is well, each scan has a picture, and of every five the last is held out; one of these shows no return."""
    said = ["", *["the map is not ready yet"] * 3, *[f"{n} pixels <agree>" for n in range(10)]]
    scans = [
        replace(scan, camera="" if i % 5 == 4 else said[i] if i < len(said) else "used")
        for i, scan in enumerate(healthy(count).results)
    ]
    held_out = [scan.stamp_ns for scan in scans[4::5]]
    scores = [ViewScore(stamp, "front", 20.0 + i, 15.0, 0.7, 0.04, 0.9) for i, stamp in enumerate(held_out)]
    scores[-1] = replace(scores[-1], psnr_db=float("nan"), depth_error_m=float("nan"), depth_share=0.0)
    picture = np.random.default_rng(3).integers(0, 255, (30, 100, 3), np.uint8)
    strip = [(stamp, picture, picture // 2) for stamp in held_out]
    return replace(healthy(count), results=scans, gaussians=[0] * 1234, scores=scores, strip=strip, mapping_s=4.0)


def _result(T: NDArray[np.float64], verdicts: list[Health], segments: list[int]) -> FakeResult:
    rng = np.random.default_rng(5)
    results = []
    for i, (pose, health, segment) in enumerate(zip(T, verdicts, segments, strict=True)):
        pose = pose.copy()
        pose[:3, 3] += rng.normal(0.0, 0.01, 3)
        timing = {"wall_ns": int(rng.uniform(8e6, 12e6)), "cpu_ns": int(rng.uniform(7e6, 9e6))}
        residual = float("nan") if health.state is State.LOST else 0.02
        results.append(ScanResult(int(stamps()[0]) + i * PERIOD_NS, pose, pose, np.eye(6), health, segment, 900, 800,
                                  residual, **timing))  # fmt: skip
    points = rng.uniform([-30, -30, 0], [30, 30, 8], (400, 3)).astype(np.float32)
    normals = np.tile(np.array([[0, 0, 1.0]], np.float32), (400, 1))
    return FakeResult(results, points, normals)
