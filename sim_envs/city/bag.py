# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A drive as a rosbag2 (mcap) that ROS 2 tools read.

Topics: /points, /imu, /camera/<name>/image_raw and camera_info, /tf_static, /ground_truth/odom,
/ground_truth/boxes (vision_msgs/Detection3DArray: what moves or is parked within 80 m), and
/ground_truth/objects: one nav_msgs/Odometry for each of those that moves, child_frame_id as the box's id,
because a Detection3D has no place for a velocity. A scan's header stamp is its first firing, its log
time the end of its sweep.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer

from sim_envs.city.drive import START_NS, SimulatedDrive
from sim_envs.city.ros_messages import RosMessages
from sim_envs.city.streams import log_times
from sim_envs.errors import BagWriteError
from slam.measurements import Image, ImuSample, Measurement, Scan

_FOREVER = QosTime(9223372036, 854775807)
_ODOM_HZ = 50.0
_BOXES_M = 80.0


@dataclass(frozen=True, slots=True)
class BagCounts:
    """What was written.

    Attributes:
        scans, imu, images, truth: numbers of messages; truth counts odometry.
    """

    scans: int = 0
    imu: int = 0
    images: int = 0
    truth: int = 0


def write_bag(
    drive: SimulatedDrive,
    path: Path,
    *,
    images: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> BagCounts:
    """Record a drive into the folder ``path``, written aside and renamed when complete.

    Args:
        drive: what to record.
        path: folder of the bag; it must not exist.
        images: whether to render and record pictures.
        progress: called with the number of scans written.

    Raises:
        BagWriteError: the folder exists.
    """
    path = Path(path)
    if path.exists():
        raise BagWriteError(f"{path} exists already: choose another folder or remove it")
    aside = path.with_name(f".{path.name}.partial") / path.name
    shutil.rmtree(aside.parent, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        counts = _record(drive, aside, images, progress)
        aside.rename(path)
    finally:
        shutil.rmtree(aside.parent, ignore_errors=True)
    return counts


def _record(drive: SimulatedDrive, path: Path, images: bool, progress: Callable[[int], None]) -> BagCounts:
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        tape = _Tape(writer, drive)
        tape.put("/tf_static", START_NS, tape.ros.static_transforms(START_NS, drive.calibration))
        truth = tape.truth()
        due = next(truth)
        for log_ns, measurement in log_times(drive.measurements(images=images), drive.config.lidar.period_ns):
            while due <= log_ns:
                due = next(truth)
            tape.measurement(log_ns, measurement)
            if isinstance(measurement, Scan):
                progress(tape.counts["/points"])
        for _ in truth:
            pass
        count = tape.counts
        pictures = sum(count[f"/camera/{name}/image_raw"] for name in drive.calibration.cameras)
        return BagCounts(count["/points"], count["/imu"], pictures, count["/ground_truth/odom"])


class _Tape:
    """The writer with its topics."""

    def __init__(self, writer: Writer, drive: SimulatedDrive) -> None:
        self.ros = RosMessages()
        self.drive = drive
        self.writer = writer
        topics = {
            "/points": "sensor_msgs/msg/PointCloud2",
            "/imu": "sensor_msgs/msg/Imu",
            "/tf_static": "tf2_msgs/msg/TFMessage",
            "/ground_truth/odom": "nav_msgs/msg/Odometry",
            "/ground_truth/boxes": "vision_msgs/msg/Detection3DArray",
            "/ground_truth/objects": "nav_msgs/msg/Odometry",
        }
        for name in drive.calibration.cameras:
            topics[f"/camera/{name}/image_raw"] = "sensor_msgs/msg/Image"
            topics[f"/camera/{name}/camera_info"] = "sensor_msgs/msg/CameraInfo"
        self.counts = dict.fromkeys(topics, 0)
        self._connections: dict[str, Any] = {
            topic: writer.add_connection(
                topic, kind, typestore=self.ros.store, offered_qos_profiles=[_quality(topic == "/tf_static")]
            )
            for topic, kind in topics.items()
        }

    def put(self, topic: str, log_ns: int, data: bytes) -> None:
        self.writer.write(self._connections[topic], log_ns, data)
        self.counts[topic] += 1

    def measurement(self, log_ns: int, measurement: Measurement) -> None:
        if isinstance(measurement, Scan):
            self.put("/points", log_ns, self.ros.cloud(measurement, self.drive.lidar.rings(measurement.points)))
        elif isinstance(measurement, ImuSample):
            self.put("/imu", log_ns, self.ros.imu(measurement))
        elif isinstance(measurement, Image):
            camera = self.drive.calibration.cameras[measurement.camera]
            info = self.ros.camera_info(measurement.stamp_ns, measurement.camera, camera)
            self.put(f"/camera/{measurement.camera}/camera_info", log_ns, info)
            self.put(f"/camera/{measurement.camera}/image_raw", log_ns, self.ros.image(measurement))

    def truth(self) -> Iterator[int]:
        """Writes the truth of each time and gives the time, ahead of its writing."""
        period = self.drive.config.lidar.rate_hz
        every = max(1, round(_ODOM_HZ / period))
        for number in range(int(self.drive.duration_s * _ODOM_HZ) + 1):
            time = number / _ODOM_HZ
            stamp = START_NS + round(time * 1e9)
            yield stamp
            self.put("/ground_truth/odom", stamp, self.ros.odometry(stamp, self.drive.state_at(np.array([time]))))
            if number % every == 0:
                boxes = self.drive.boxes(time, _BOXES_M)
                self.put("/ground_truth/boxes", stamp, self.ros.boxes(stamp, boxes))
                for box in boxes:
                    if box.velocity.any():
                        self.put("/ground_truth/objects", stamp, self.ros.moving(stamp, box))
        yield np.iinfo(np.int64).max


def _quality(latched: bool) -> Qos:
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(
        QosHistory.KEEP_LAST,
        1 if latched else 10,
        QosReliability.RELIABLE,
        durability,
        _FOREVER,
        _FOREVER,
        QosLiveliness.AUTOMATIC,
        _FOREVER,
        False,
    )
