# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A world of boxes, a smooth drive through it, and what a LiDAR and an IMU measure: small enough for tests."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from slam import so3
from slam.calibration import Calibration
from slam.measurements import ImuSample, Measurement, Scan
from slam.trajectory import Trajectory

GRAVITY = np.array([0.0, 0.0, -9.81])
TENTH = 100_000_000


def hall(length=60.0, width=24.0) -> np.ndarray:
    """(B, 6) boxes (low corner, high corner): a walled hall with pillars and crates, floor at z = 0."""
    half, w = length / 2, width / 2
    shell = [
        [-half, -w, -0.5, half, w, 0.0], [-half, -w, 0, -half + 0.5, w, 6], [half - 0.5, -w, 0, half, w, 6],
        [-half, -w, 0, half, -w + 0.5, 6], [-half, w - 0.5, 0, half, w, 6],
    ]  # fmt: skip
    rng = np.random.default_rng(7)
    corners = np.column_stack(
        [rng.uniform(-half + 2, half - 2, 24), rng.choice([-1, 1], 24) * rng.uniform(5, w - 2, 24)]
    )
    crates = [[x, y, 0.0, x + s, y + s, 2.5 * s] for (x, y), s in zip(corners, rng.uniform(0.5, 1.8, 24), strict=True)]
    return np.array(shell + crates)


def corridor(length=400.0, width=6.0) -> np.ndarray:
    """(B, 6) floor and two smooth walls, closed at the ends."""
    half, w = length / 2, width / 2
    return np.array([
        [-half, -w, -0.5, half, w, 0.0], [-half, -w - 0.5, 0, half, -w, 5], [-half, w, 0, half, w + 0.5, 5],
        [-half - 0.5, -w, 0, -half, w, 5], [half, -w, 0, half + 0.5, w, 5],
    ])  # fmt: skip


def cast(boxes: np.ndarray, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(N,) distance to the nearest box along each ray (slab method), inf where none is hit."""
    best = np.full(len(origins), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1.0 / directions
        for box in boxes:
            a, b = (box[:3] - origins) * inverse, (box[3:] - origins) * inverse
            near, far = np.nanmax(np.minimum(a, b), 1), np.nanmin(np.maximum(a, b), 1)
            best = np.where((near <= far) & (near > 1e-6) & (near < best), near, best)
    return best


@dataclass(frozen=True)
class Drive:
    """A drive: speed ramps up from rest (or is there from the start), the path swings gently.

    Attributes:
        boxes: the world. speed: m/s along x. swing: amplitude of the sideways sine, metres.
        moving_start: at full speed from the first instant. jump: (time s, 4 x 4) a kidnapping.
        T_base_lidar, T_base_imu: where the sensors sit.
    """

    boxes: np.ndarray = field(default_factory=hall)
    speed: float = 2.0
    swing: float = 1.0
    seconds: float = 5.0
    start_x: float = -8.0
    moving_start: bool = False
    rings: int = 16
    columns: int = 360
    max_range: float = 80.0
    noise: float = 0.01
    imu_hz: int = 200
    jump: tuple[float, np.ndarray] | None = None
    seed: int = 0
    T_base_lidar: np.ndarray = field(default_factory=lambda: np.eye(4))
    T_base_imu: np.ndarray = field(default_factory=lambda: np.eye(4))

    def way(self, t):
        """Way along x: at rest for half a second, then a smooth ramp over two seconds."""
        if self.moving_start:
            return self.speed * t
        u = np.clip(0.5 * (t - 0.5), 0.0, 1.0)
        return self.speed * (2.0 * (u**3 - 0.5 * u**4) + np.maximum(t - 2.5, 0.0))

    def position(self, t):
        """(N, 3) of the body at times (N,), seconds."""
        s = self.way(np.atleast_1d(t))
        return np.column_stack([self.start_x + s, self.swing * np.sin(0.4 * s), 1.2 + 0.05 * np.sin(0.9 * s)])

    def rotation(self, t):
        """(N, 3, 3) of the body into the world."""
        s = self.way(np.atleast_1d(t))
        vectors = np.column_stack([0.03 * np.sin(0.7 * s), 0.03 * np.sin(0.5 * s), 0.35 * np.sin(0.4 * s)])
        return np.array([so3.exp(v) for v in vectors])

    def placed(self, t, points, directions):
        """Origins and directions of rays in the world, kidnapped where the time has come."""
        R, p = self.rotation(t), self.position(t)
        origin, ray = np.einsum("nij,nj->ni", R, points) + p, np.einsum("nij,nj->ni", R, directions)
        if self.jump is not None:
            T, late = self.jump[1], t >= self.jump[0]
            origin[late] = (origin[late] - p[late]) @ T[:3, :3].T + p[late] + T[:3, 3]
            ray[late] = ray[late] @ T[:3, :3].T
        return origin, ray

    def scan(self, index: int) -> Scan:
        """The sweep that starts at index / 10 s."""
        rng = np.random.default_rng([self.seed, index])
        azimuth = np.repeat(np.linspace(np.pi, -np.pi, self.columns, endpoint=False), self.rings)
        elevation = np.tile(np.radians(np.linspace(-25, 15, self.rings)), self.columns)
        rays = np.column_stack(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        )
        offsets = np.repeat(np.arange(self.columns) * (TENTH // self.columns), self.rings)
        R, lever = self.T_base_lidar[:3, :3], self.T_base_lidar[:3, 3]
        origin, ray = self.placed(index * 0.1 + offsets * 1e-9, np.tile(lever, (len(rays), 1)), rays @ R.T)
        distance = cast(self.boxes, origin, ray)
        distance[distance > self.max_range] = np.nan
        measured = rays * (distance + rng.normal(0, self.noise, len(rays)))[:, None]
        return Scan(index * TENTH, measured.astype(np.float32), offsets.astype(np.int64))

    def imu(self) -> list[ImuSample]:
        """Specific force and turn rate by central differences of the exact motion, with a little noise and bias."""
        rng, h = np.random.default_rng([self.seed, 999]), 1e-4
        start = -0.1 if not self.moving_start else 0.0
        t = np.arange(start, self.seconds + 0.2, 1 / self.imu_hz)
        R_bi, lever = self.T_base_imu[:3, :3], self.T_base_imu[:3, 3]

        def pose(t):
            R = self.rotation(t)
            return R @ R_bi, self.position(t) + R @ lever

        (R, p), (R_before, p_before), (R_after, p_after) = pose(t), pose(t - h), pose(t + h)
        force = np.einsum("nji,nj->ni", R, (p_after - 2 * p + p_before) / h**2 - GRAVITY)
        turn = np.array([so3.log(a.T @ b) / (2 * h) for a, b in zip(R_before, R_after, strict=True)])
        force += 0.03 + rng.normal(0, 0.02, force.shape)
        turn += 0.004 + rng.normal(0, 0.002, turn.shape)
        return [ImuSample(round(s * 1e9), w, a) for s, w, a in zip(t, turn, force, strict=True)]

    def stream(self, imu: bool = True) -> list[Measurement]:
        """All measurements in the order of their arrival: a scan when it is complete."""
        scans = [(k * TENTH + TENTH, self.scan(k)) for k in range(round(self.seconds * 10))]
        samples = [(s.stamp_ns, s) for s in self.imu()] if imu else []
        return [m for _, m in sorted(scans + samples, key=lambda pair: pair[0])]

    def truth(self) -> Trajectory:
        """The body at the scans' header stamps."""
        t = np.arange(round(self.seconds * 10)) * 0.1
        T = np.tile(np.eye(4), (len(t), 1, 1))
        T[:, :3, :3], T[:, :3, 3] = self.rotation(t), self.position(t)
        return Trajectory.from_matrices(np.arange(len(t), dtype=np.int64) * TENTH, T)


class Stream:
    """A recording made of a list of measurements."""

    def __init__(self, measurements, imu: bool = True, calibration: Calibration | None = None):
        self.name, self.notes = "small world", []
        self.calibration = calibration or Calibration(T_base_imu=np.eye(4) if imu else None)
        self._measurements = list(measurements)
        self.scan_count = sum(isinstance(m, Scan) for m in self._measurements)

    def measurements(self, *, images: bool = False):
        return iter(self._measurements)

    def ground_truth(self):
        return None
