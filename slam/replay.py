# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Drives a recording through sequencer and odometry: the batch twin of the ROS node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.bundle import ScanBundle
from slam.errors import RecordingError
from slam.gaussian_map.held_out import HeldOutView, ViewScore
from slam.gaussian_map.mapping_config import MappingConfig
from slam.gaussian_map.regions import RegionStore
from slam.gaussian_map.store import GaussianMap
from slam.io.recording import Recording
from slam.measurements import ImuSample, Measurement, Scan
from slam.octree import CENTRE, NORMAL, PlaneMap
from slam.odometry import Odometry
from slam.odometry_config import OdometryConfig
from slam.result_log import ResultLog
from slam.results import ScanResult
from slam.sequencer import Sequencer, SequencerConfig
from slam.trajectory import Trajectory
from slam.visual import Visual

MIS_STAMPED_S = 1800.0
"""A scan so far off is mis-stamped, and does not decide where a part begins or ends."""


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay leaves.

    Attributes:
        results: one for every scan, in the order of their release.
        log: what happened, with times.
        map: planes of the last segment, in odom.
        gaussians: the Gaussian map of the last segment, None where none was built.
        scores: of the held-out pictures; strip: some of them: stamp, picture, rendering (H, W, 3) uint8.
        mapping_s: wall time spent on fitting the map, apart from the poses.
        tilt: (3, 3) rotation that levels odom.
        read_wall_s, read_cpu_s: time spent on reading and decoding.
        wall_s: time from the first measurement to the last result.
        duration_s: span of the scans' stamps.
    """

    results: Sequence[ScanResult]
    log: list[str]
    map: PlaneMap
    tilt: NDArray[np.float64]
    read_wall_s: float
    read_cpu_s: float
    wall_s: float
    duration_s: float
    gaussians: GaussianMap | None = None
    scores: Sequence[ViewScore] = ()
    strip: Sequence[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]] = ()
    mapping_s: float = 0.0

    @property
    def map_points(self) -> NDArray[np.float32]:
        """(M, 3) centres of the map's planes, odom, metres."""
        return self.map.planes()[:, CENTRE : CENTRE + 3].astype(np.float32)

    @property
    def map_normals(self) -> NDArray[np.float32]:
        """(M, 3) unit normals of the map's planes, odom."""
        return self.map.planes()[:, NORMAL : NORMAL + 3].astype(np.float32)

    def trajectory(self) -> Trajectory:
        """The LiDAR frame in the first LiDAR frame, at the scans' header stamps."""
        poses = np.array([r.T_odom_lidar for r in self.results])
        return Trajectory.from_matrices(self._stamps(), np.linalg.inv(poses[0]) @ poses)

    def base_trajectory(self) -> Trajectory:
        """base_link in odom, levelled, at the scans' header stamps."""
        level = np.eye(4)
        level[:3, :3] = self.tilt
        return Trajectory.from_matrices(self._stamps(), level @ np.array([r.T_odom_base for r in self.results]))

    def _stamps(self) -> NDArray[np.int64]:
        return np.array([r.stamp_ns for r in self.results], np.int64)


class _Meter:
    """Times what an iterator costs, apart from what is done with its items."""

    def __init__(self, items: Iterator[Measurement]) -> None:
        self._items = items
        self.wall_ns = self.cpu_ns = 0

    def __iter__(self) -> Iterator[Measurement]:
        while True:
            wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
            item = next(self._items, None)
            self.wall_ns += time.perf_counter_ns() - wall
            self.cpu_ns += time.thread_time_ns() - cpu
            if item is None:
                return
            yield item


def replay(
    recording: Recording,
    config: OdometryConfig | None = None,
    *,
    use_imu: bool = True,
    use_camera: bool = True,
    mapping: MappingConfig | None = None,
    start_map: PlaneMap | GaussianMap | None = None,
    start_pose: NDArray[np.float64] | None = None,
    regions: RegionStore | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    on_result: Callable[[ScanResult], None] | None = None,
    on_view: Callable[[HeldOutView, ViewScore], None] | None = None,
) -> ReplayResult:
    """Run the odometry over a recording, as fast as it goes.

    Args:
        use_imu: False leaves the inertial samples out.
        use_camera, mapping: see ``Odometry``.
        start_map, start_pose, regions: see ``Odometry``.
        start_s, duration_s: part of the recording, seconds from its first scan.
        on_result: called after each scan, for progress bars.
        on_view: called with each held-out picture when it is judged.

    Raises:
        RecordingError: where no scan lies in the part asked for.
    """
    imu = use_imu and recording.calibration.T_base_imu is not None
    odometry = Odometry(
        config, recording.calibration, use_imu=imu, use_camera=use_camera, mapping=mapping, start_map=start_map,
        start_pose=start_pose, regions=regions,
    )  # fmt: skip
    visual = odometry.visual
    if isinstance(visual, Visual):
        visual.on_view = on_view
    images = isinstance(visual, Visual)
    meter = _Meter(_part(recording.measurements(images=images), start_s, duration_s, imu))
    began, mapping_ns = time.perf_counter(), 0
    results = ResultLog()
    for bundle in _bundles(meter, Sequencer(SequencerConfig(expect_imu=imu))):
        result = odometry.register(bundle)
        results.append(result)
        started = time.perf_counter_ns()
        visual.work()
        mapping_ns += time.perf_counter_ns() - started
        if on_result is not None:
            on_result(result)
    if not results:
        raise RecordingError(f"{recording.name}: no scan from {start_s} s on, of {recording.scan_count} scans in all")
    wall_s = time.perf_counter() - began
    return ReplayResult(
        results, _log_lines(odometry), odometry.map, odometry.gravity.tilt, meter.wall_ns * 1e-9, meter.cpu_ns * 1e-9,
        wall_s, (results[-1].stamp_ns - results[0].stamp_ns) * 1e-9,
        visual.finished(odometry.map), visual.judge(), visual.strip.pictures, mapping_ns * 1e-9,
    )  # fmt: skip


def _bundles(meter: _Meter, sequencer: Sequencer) -> Iterator[ScanBundle]:
    for measurement in meter:
        yield from sequencer.push(measurement)
    yield from sequencer.flush()


def _part(items: Iterator[Measurement], start_s: float, duration_s: float | None, imu: bool) -> Iterator[Measurement]:
    """Measurements within the part, counted from the first scan; inertial ones before it are kept."""
    first_ns: int | None = None
    reached = start_s <= 0.0
    for item in items:
        if isinstance(item, ImuSample) and not imu:
            continue
        if isinstance(item, Scan):
            first_ns = item.stamp_ns if first_ns is None else first_ns
            at_s = (item.stamp_ns - first_ns) * 1e-9
            reached = reached or start_s <= at_s < start_s + MIS_STAMPED_S
            if duration_s is not None and 0.0 <= at_s - start_s - duration_s < MIS_STAMPED_S:
                return
        if not reached and not isinstance(item, ImuSample):
            continue
        yield item


def _log_lines(odometry: Odometry) -> list[str]:
    return [f"{stamp_ns * 1e-9:.3f} s: {sentence}" for stamp_ns, sentence in odometry.events]
