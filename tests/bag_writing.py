# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Writes tiny bags of every kind with the rosbags library, for tests of readers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND
DATATYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
CUSTOM_POINT = "uint32 offset_time\nfloat32 x\nfloat32 y\nfloat32 z\nuint8 reflectivity\nuint8 tag\nuint8 line\n"
CUSTOM_MSG = (
    "std_msgs/Header header\nuint64 timebase\nuint32 point_num\nuint8 lidar_id\nuint8[3] rsvd\nCustomPoint[] points\n"
)
KINDS = ("rosbag1", "rosbag1_lz4", "sqlite3", "mcap", "mcap_zstd", "sqlite3_file", "sqlite3_message", "mcap_message")


def typestore(ros1: bool) -> Any:
    store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg(CUSTOM_POINT, "livox_ros_driver2/msg/CustomPoint"))
    store.register(get_types_from_msg(CUSTOM_MSG, "livox_ros_driver2/msg/CustomMsg"))
    if ros1:
        store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms\n", "tf2_msgs/msg/TFMessage"))
    return store


@dataclass
class Messages:
    """Builds messages for one serialisation."""

    ros1: bool

    def __post_init__(self) -> None:
        self.store = typestore(self.ros1)

    def __getitem__(self, name: str) -> Any:
        return self.store.types[name]

    def time(self, stamp_ns: int) -> Any:
        return self["builtin_interfaces/msg/Time"](sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND)

    def header(self, stamp_ns: int, frame: str) -> Any:
        extra = {"seq": 7} if self.ros1 else {}
        return self["std_msgs/msg/Header"](stamp=self.time(stamp_ns), frame_id=frame, **extra)

    def imu(self, stamp_ns: int, gyro: tuple, accel: tuple, frame: str = "imu") -> Any:
        vector, zeros = self["geometry_msgs/msg/Vector3"], np.zeros(9)
        return self["sensor_msgs/msg/Imu"](
            header=self.header(stamp_ns, frame),
            orientation=self["geometry_msgs/msg/Quaternion"](x=0.1, y=0.2, z=0.3, w=0.9),
            orientation_covariance=zeros + 1,
            angular_velocity=vector(*gyro),
            angular_velocity_covariance=zeros + 2,
            linear_acceleration=vector(*accel),
            linear_acceleration_covariance=zeros + 3,
        )

    def cloud(self, stamp_ns: int, rows: np.ndarray, frame: str = "lidar", **layout: Any) -> Any:
        """PointCloud2 of a structured array (H, W) or (N,); ``layout`` overrides fields of the message."""
        rows = np.atleast_2d(rows)
        dtype = rows.dtype
        field = self["sensor_msgs/msg/PointField"]
        fields = [
            field(name=n, offset=dtype.fields[n][1], datatype=DATATYPES[dtype.fields[n][0].str[1:]], count=1)
            for n in dtype.names or ()
        ]
        step = dtype.itemsize
        settings: dict[str, Any] = {
            "height": rows.shape[0],
            "width": rows.shape[1],
            "fields": fields,
            "is_bigendian": False,
            "point_step": step,
            "row_step": step * rows.shape[1],
            "data": np.frombuffer(rows.tobytes(), np.uint8),
            "is_dense": False,
        }
        return self["sensor_msgs/msg/PointCloud2"](header=self.header(stamp_ns, frame), **(settings | layout))

    def custom(self, stamp_ns: int, points: np.ndarray, offsets: np.ndarray, timebase: int) -> Any:
        point = self["livox_ros_driver2/msg/CustomPoint"]
        rows = [
            point(offset_time=int(t), x=float(p[0]), y=float(p[1]), z=float(p[2]), reflectivity=i % 256, tag=0, line=1)
            for i, (p, t) in enumerate(zip(points, offsets, strict=True))
        ]
        return self["livox_ros_driver2/msg/CustomMsg"](
            header=self.header(stamp_ns, "livox_frame"),
            timebase=timebase,
            point_num=len(rows),
            lidar_id=1,
            rsvd=np.zeros(3, np.uint8),
            points=rows,
        )

    def transform(self, parent: str, child: str, position: tuple, quaternion: tuple = (0, 0, 0, 1)) -> Any:
        return self["geometry_msgs/msg/TransformStamped"](
            header=self.header(START_NS, parent),
            child_frame_id=child,
            transform=self["geometry_msgs/msg/Transform"](
                translation=self["geometry_msgs/msg/Vector3"](*map(float, position)),
                rotation=self["geometry_msgs/msg/Quaternion"](*map(float, quaternion)),
            ),
        )

    def tf(self, *transforms: Any) -> Any:
        return self["tf2_msgs/msg/TFMessage"](transforms=list(transforms))

    def odometry(self, stamp_ns: int, position: tuple, child: str = "base_link") -> Any:
        zero = self["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
        twist = self["geometry_msgs/msg/Twist"](linear=zero, angular=zero)
        return self["nav_msgs/msg/Odometry"](
            header=self.header(stamp_ns, "world"),
            child_frame_id=child,
            pose=self["geometry_msgs/msg/PoseWithCovariance"](pose=self.pose(position), covariance=np.zeros(36)),
            twist=self["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=np.zeros(36)),
        )

    def pose(self, position: tuple) -> Any:
        return self["geometry_msgs/msg/Pose"](
            position=self["geometry_msgs/msg/Point"](*map(float, position)),
            orientation=self["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
        )

    def image(self, stamp_ns: int, pixels: np.ndarray, encoding: str = "rgb8", frame: str = "camera") -> Any:
        rows = pixels.reshape(len(pixels), -1)
        return self["sensor_msgs/msg/Image"](
            header=self.header(stamp_ns, frame),
            height=len(rows),
            width=pixels.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=rows.shape[1],
            data=rows.ravel(),
        )

    def compressed(self, stamp_ns: int, data: bytes, frame: str = "camera") -> Any:
        return self["sensor_msgs/msg/CompressedImage"](
            header=self.header(stamp_ns, frame), format="png", data=np.frombuffer(data, np.uint8)
        )

    def camera_info(self, stamp_ns: int, width: int, height: int, focal: float, model: str = "plumb_bob") -> Any:
        names = {"D": np.array([0.1, 0.2, 0.3, 0.4, 0.5]), "R": np.eye(3).ravel(), "P": np.zeros(12)}
        names["K"] = np.array([focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1.0])
        region = self["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        return self["sensor_msgs/msg/CameraInfo"](
            header=self.header(stamp_ns, "camera"),
            height=height,
            width=width,
            distortion_model=model,
            binning_x=0,
            binning_y=0,
            roi=region,
            **{(k if self.ros1 else k.lower()): v for k, v in names.items()},
        )


def write_bag(path: Path, kind: str, entries: list[tuple[str, int, Any]], messages: Messages) -> Path:
    """Write (topic, record time, message) entries; returns the path to open."""
    if messages.ros1:
        writer: Any = Writer1(path.with_suffix(".bag"))
        if kind == "rosbag1_lz4":
            writer.set_compression(Writer1.CompressionFormat.LZ4)
    else:
        writer = _writer2(path, kind)
    store = messages.store
    with writer:
        connections: dict[str, Any] = {}
        for topic, record_ns, message in entries:
            name = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, name, typestore=store)
            serialize = store.serialize_ros1 if messages.ros1 else store.serialize_cdr
            writer.write(connections[topic], record_ns, serialize(message, name))
    return path.with_suffix(".bag") if messages.ros1 else path


def _writer2(path: Path, kind: str) -> Any:
    plugin = StoragePlugin.MCAP if kind.startswith("mcap") else StoragePlugin.SQLITE3
    writer = Writer2(path, version=9, storage_plugin=plugin)
    modes = {"file": CompressionMode.FILE, "message": CompressionMode.MESSAGE, "zstd": CompressionMode.STORAGE}
    mode = modes.get(kind.rpartition("_")[2])
    if mode is not None:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    return writer


def points_dtype(time: str | None = None, kind: str = "f4", order: str = "<") -> np.dtype:
    """x y z intensity, a gap, and a time field: like most drivers, with padding."""
    names, formats, offsets = ["x", "y", "z", "intensity"], [order + "f4"] * 4, [0, 4, 8, 16]
    if time is not None:
        names, formats, offsets = [*names, time], [*formats, order + kind], [*offsets, 24]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": 40})


def ring(count: int = 64) -> np.ndarray:
    """(count, 3) points on a circle of 10 m."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([10 * np.cos(angle), 10 * np.sin(angle), np.full(count, 0.5)], axis=1)


def cloud_rows(points: np.ndarray, dtype: np.dtype, time: str | None = None, values: Any = 0) -> np.ndarray:
    rows = np.zeros(len(points), dtype)
    for k, axis in enumerate("xyz"):
        rows[axis] = points[:, k]
    rows["intensity"] = np.arange(len(points))
    if time is not None:
        rows[time] = values
    return rows


def standard_bag(path: Path, kind: str, scans: int = 5, **extra: Any) -> Path:
    """Scans at 10 Hz (Ouster's t), IMU at 50 Hz, tf_static, pictures with camera_info, true poses."""
    m = Messages(kind.startswith("rosbag1"))
    half = np.sqrt(0.5)
    entries: list[tuple[str, int, Any]] = [
        ("/tf_static", START_NS, m.tf(
            m.transform("base_link", "mast", (0, 0, 1)),
            m.transform("mast", "lidar", (0.5, 0, 0), (0, 0, half, half)),
            m.transform("base_link", "imu", (0.1, 0.2, 0.3)),
            m.transform("base_link", "camera", (1, 0, 0), (-0.5, 0.5, -0.5, 0.5)),
        )),
        ("/front/camera_info", START_NS, m.camera_info(START_NS, 4, 2, 3.0)),
    ]  # fmt: skip
    dtype = points_dtype("t", "u4")
    offsets = np.linspace(0, 99_000_000, 64).astype(np.uint32)
    for k in range(scans):
        stamp = START_NS + k * SECOND // 10
        rows = cloud_rows(ring() + np.array([0, 0, k]), dtype, "t", offsets)
        for j in range(5):
            now = stamp + j * SECOND // 50
            entries.append(("/imu/data", now, m.imu(now, (j, k, 3), (0, 0, 9.8))))
        entries.append(("/lidar/points", stamp + SECOND // 10, m.cloud(stamp, rows)))
        picture = m.image(stamp, np.full((2, 4, 3), k % 256, np.uint8))
        entries.append(("/front/image_raw", stamp + SECOND // 10, picture))
        entries.append(("/ground_truth/odom", stamp, m.odometry(stamp, (k, 0, 0))))
    entries += extra.get("entries", [])
    return write_bag(path, kind, sorted(entries, key=lambda e: e[1]), m)
