# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Public odometries with their settings, each a function from one scan to its pose; one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from slam.calibration import Calibration
from slam.measurements import ImuSample, Measurement, Scan
from slam.metrics import Evaluation, evaluate
from slam.trajectory import Trajectory

Step = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""(N, 3) float64 points of a scan -> (4, 4) pose of the sensor in its first frame."""


def kiss_icp() -> Step:
    """kiss-icp as for KITTI: 1 m voxels, 5 to 100 m, scans that are deskewed already."""
    from kiss_icp.config import KISSConfig
    from kiss_icp.kiss_icp import KissICP

    config = KISSConfig()
    config.data.min_range, config.data.max_range, config.data.deskew = 5.0, 100.0, False
    config.mapping.voxel_size, config.registration.max_num_threads = 1.0, 1
    odometry = KissICP(config)

    def step(points: NDArray[np.float64]) -> NDArray[np.float64]:
        odometry.register_frame(points, np.zeros(0))
        return odometry.last_pose.copy()

    return step


def vgicp() -> Step:
    """Scan to map with small_gicp's voxelised GICP, from a constant-velocity guess."""
    import small_gicp

    voxels, poses = small_gicp.GaussianVoxelMap(1.0), []

    def step(points: NDArray[np.float64]) -> NDArray[np.float64]:
        far_enough = points[np.linalg.norm(points, axis=1) > 3.0]
        cloud, _ = small_gicp.preprocess_points(far_enough, 0.25, num_threads=1)
        if poses:
            motion = np.linalg.inv(poses[-2]) @ poses[-1] if len(poses) > 1 else np.eye(4)
            found = small_gicp.align(voxels, cloud, poses[-1] @ motion, max_correspondence_distance=1.0, num_threads=1)
            poses.append(found.T_target_source.copy())
        else:
            poses.append(np.eye(4))
        voxels.insert(cloud, poses[-1])
        return poses[-1]

    return step


def kiss_icp_deskewing(min_range_m: float = 1.0) -> Callable[[Scan], NDArray[np.float64]]:
    """kiss-icp with its own deskewing, for scans with the time of each point."""
    from kiss_icp.config import KISSConfig
    from kiss_icp.kiss_icp import KissICP

    config = KISSConfig()
    config.data.min_range, config.data.max_range, config.data.deskew = min_range_m, 100.0, True
    config.mapping.voxel_size, config.registration.max_num_threads = 1.0, 1
    odometry = KissICP(config)

    def step(scan: Scan) -> NDArray[np.float64]:
        assert scan.offsets_ns is not None
        odometry.register_frame(scan.points.astype(np.float64), scan.offsets_ns * 1e-9)
        return odometry.last_pose.copy()

    return step


def rko_lio(
    measurements: Iterable[Measurement], calibration: Calibration, **settings: float | bool
) -> tuple[list[Scan], NDArray[np.float64]]:
    """rko-lio over a recording, in its own sequencer's order: a scan once an inertial sample past its end is there.

    Args:
        settings: of ``rko_lio.config.LIOConfig``, over its defaults.

    Returns:
        the scans it registered (those it refused are left out), and (N, 4, 4) poses of base_link.
    """
    from rko_lio.config import LIOConfig
    from rko_lio.lio import LIO

    odometry = LIO(LIOConfig(**settings))
    waiting: list[Scan] = []
    samples: list[ImuSample] = []
    done: list[Scan] = []
    poses: list[NDArray[np.float64]] = []
    for measurement in measurements:
        if isinstance(measurement, Scan):
            waiting.append(measurement)
        elif isinstance(measurement, ImuSample):
            samples.append(measurement)
        if not (waiting and samples and samples[-1].stamp_ns > end_ns(waiting[0])):
            continue
        scan = waiting.pop(0)
        while samples[0].stamp_ns < end_ns(scan):
            sample = samples.pop(0)
            odometry.add_imu_measurement(sample.accel, sample.gyro, sample.stamp_ns, calibration.T_base_imu)
        odometry.register_scan(scan.points, scan.stamp_ns + scan.offsets_ns, calibration.T_base_lidar)
        done.append(scan)
        poses.append(odometry.pose().copy())
    return done, np.array(poses)


def end_ns(scan: Scan) -> int:
    """Stamp of the scan's last point."""
    return scan.stamp_ns + (int(scan.offsets_ns.max()) if scan.offsets_ns is not None and len(scan.offsets_ns) else 0)


def at_its_best(scans: list[Scan], poses: NDArray[np.float64], truth: Trajectory) -> tuple[str, Evaluation]:
    """ATE with the poses taken to hold at the scans' start, middle or end: whichever serves the peer best."""
    starts = np.array([scan.stamp_ns for scan in scans])
    ends = np.array([end_ns(scan) for scan in scans])
    times = {"start": starts, "middle": (starts + ends) // 2, "end": ends}
    found = {name: _evaluated(stamps, poses, truth) for name, stamps in times.items()}
    name = min(found, key=lambda key: found[key].ate_m.rmse)
    return name, found[name]


def _evaluated(stamps: NDArray[np.int64], poses: NDArray[np.float64], truth: Trajectory) -> Evaluation:
    inside = (stamps >= truth.stamps_ns[0]) & (stamps <= truth.stamps_ns[-1])
    return evaluate(Trajectory.from_matrices(stamps[inside], poses[inside]), truth.at(stamps[inside]))
