# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The shared KITTI drives, written out once under out/bench/kitti, and every odometry's trajectory over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from bench import peers
from bench.places import OUT
from slam.bundle import ScanBundle
from slam.io import open_recording
from slam.io.recording import Recording
from slam.measurements import ImuSample, Scan
from slam.odometry import Odometry
from slam.sequencer import Sequencer, SequencerConfig
from slam.trajectory import Trajectory

DRIVE_0005 = "kitti_raw_0005"
DRIVE_0052 = "kitti_0052_sfnd78"


def opened(name: str) -> Recording:
    """The drive as a recording."""
    from shared_data import write_kitti_raw

    return open_recording(write_kitti_raw(name, OUT / "kitti"))


def bundles(recording: Recording, *, use_imu: bool) -> list[ScanBundle]:
    """All scans, decoded and in order, so that a timed loop over them reads nothing."""
    return list(_released(recording, use_imu))


def _released(recording: Recording, use_imu: bool) -> Iterator[ScanBundle]:
    sequencer = Sequencer(SequencerConfig(expect_imu=use_imu))
    for measurement in recording.measurements():
        if isinstance(measurement, Scan) or (use_imu and isinstance(measurement, ImuSample)):
            yield from sequencer.push(measurement)
    yield from sequencer.flush()


def ours(recording: Recording, *, use_imu: bool = False) -> Callable[[ScanBundle], NDArray[np.float64]]:
    """A step of our odometry: one scan to the pose of the LiDAR in odom."""
    odometry = Odometry(calibration=recording.calibration, use_imu=use_imu)
    return lambda bundle: odometry.register(bundle).T_odom_lidar


def peer_trajectories(scans: list[ScanBundle]) -> dict[str, Trajectory]:
    """kiss-icp's and the VGICP odometry's way over these scans."""
    stamps = np.array([bundle.scan.stamp_ns for bundle in scans])
    steps = {"kiss-icp": peers.kiss_icp(), "VGICP": peers.vgicp()}
    return {
        name: Trajectory.from_matrices(stamps, [step(bundle.scan.points.astype(np.float64)) for bundle in scans])
        for name, step in steps.items()
    }
