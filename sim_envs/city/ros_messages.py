# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Measurements and truth as ROS 2 messages, serialised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from scipy.spatial.transform import Rotation

from sim_envs.city.motion import State
from sim_envs.city.moving import Box
from slam.calibration import Calibration, Camera
from slam.measurements import Image, ImuSample, Scan

_VISION = {
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score\n",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n"
    ),
    "vision_msgs/msg/BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size\n",
    "vision_msgs/msg/Detection3D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox3D bbox\nstring id\n"
    ),
    "vision_msgs/msg/Detection3DArray": "std_msgs/Header header\nvision_msgs/Detection3D[] detections\n",
}
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("ring", "<u2"), ("t", "<u4")])
_F4, _U2, _U4 = 7, 4, 6
_FIELDS = (("x", 0, _F4), ("y", 4, _F4), ("z", 8, _F4), ("intensity", 12, _F4), ("ring", 16, _U2), ("t", 18, _U4))
_UNKNOWN = np.concatenate([[-1.0], np.zeros(8)])


class RosMessages:
    """Builds and serialises (CDR) every message that the bag holds."""

    def __init__(self) -> None:
        self.store = get_typestore(Stores.ROS2_JAZZY)
        for name, text in _VISION.items():
            self.store.register(get_types_from_msg(text, name))

    def cloud(self, scan: Scan, rings: NDArray[np.uint16]) -> bytes:
        """sensor_msgs/PointCloud2 with x y z intensity ring t (ns after the stamp); frame lidar."""
        count = len(scan.points)
        rows = np.zeros(count, POINT)
        rows["x"], rows["y"], rows["z"] = scan.points.T
        rows["intensity"] = 0.0 if scan.intensity is None else scan.intensity
        rows["ring"] = rings
        rows["t"] = 0 if scan.offsets_ns is None else scan.offsets_ns
        field = self._type("sensor_msgs/msg/PointField")
        message = self._type("sensor_msgs/msg/PointCloud2")(
            header=self.header(scan.stamp_ns, "lidar"),
            height=1,
            width=count,
            fields=[field(name=name, offset=at, datatype=kind, count=1) for name, at, kind in _FIELDS],
            is_bigendian=False,
            point_step=POINT.itemsize,
            row_step=POINT.itemsize * count,
            data=rows.view(np.uint8),
            is_dense=bool(np.isfinite(scan.points).all()),
        )
        return self._bytes(message)

    def imu(self, sample: ImuSample) -> bytes:
        """sensor_msgs/Imu in m/s^2 and rad/s; frame imu; no orientation."""
        vector = self._type("geometry_msgs/msg/Vector3")
        zeros = np.zeros(9)
        message = self._type("sensor_msgs/msg/Imu")(
            header=self.header(sample.stamp_ns, "imu"),
            orientation=self._type("geometry_msgs/msg/Quaternion")(x=0.0, y=0.0, z=0.0, w=1.0),
            orientation_covariance=_UNKNOWN,
            angular_velocity=vector(*map(float, sample.gyro)),
            angular_velocity_covariance=zeros,
            linear_acceleration=vector(*map(float, sample.accel)),
            linear_acceleration_covariance=zeros,
        )
        return self._bytes(message)

    def image(self, image: Image) -> bytes:
        """sensor_msgs/Image, rgb8; frame camera_<name>."""
        message = self._type("sensor_msgs/msg/Image")(
            header=self.header(image.stamp_ns, camera_frame(image.camera)),
            height=image.pixels.shape[0],
            width=image.pixels.shape[1],
            encoding="rgb8" if image.pixels.ndim == 3 else "mono8",
            is_bigendian=0,
            step=image.pixels[0].nbytes,
            data=np.ascontiguousarray(image.pixels).reshape(-1),
        )
        return self._bytes(message)

    def camera_info(self, stamp_ns: int, name: str, camera: Camera) -> bytes:
        """sensor_msgs/CameraInfo of an unrectified pinhole camera."""
        roi = self._type("sensor_msgs/msg/RegionOfInterest")
        message = self._type("sensor_msgs/msg/CameraInfo")(
            header=self.header(stamp_ns, camera_frame(name)),
            height=camera.height,
            width=camera.width,
            distortion_model="plumb_bob",
            d=np.asarray(camera.distortion, float),
            k=np.asarray(camera.K, float).ravel(),
            r=np.eye(3).ravel(),
            p=np.column_stack([camera.K, np.zeros(3)]).ravel(),
            binning_x=0,
            binning_y=0,
            roi=roi(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
        )
        return self._bytes(message)

    def static_transforms(self, stamp_ns: int, calibration: Calibration) -> bytes:
        """tf2_msgs/TFMessage: base_link to lidar, imu and the cameras' optical frames."""
        frames = {"lidar": calibration.T_base_lidar}
        if calibration.T_base_imu is not None:
            frames["imu"] = calibration.T_base_imu
        frames |= {camera_frame(name): camera.T_base_camera for name, camera in calibration.cameras.items()}
        stamped, transform = self._type("geometry_msgs/msg/TransformStamped"), self._type("geometry_msgs/msg/Transform")
        vector = self._type("geometry_msgs/msg/Vector3")
        transforms = [
            stamped(
                header=self.header(stamp_ns, "base_link"),
                child_frame_id=frame,
                transform=transform(translation=vector(*T[:3, 3].tolist()), rotation=self._quaternion(T[:3, :3])),
            )
            for frame, T in frames.items()
        ]
        return self._bytes(self._type("tf2_msgs/msg/TFMessage")(transforms=transforms))

    def odometry(self, stamp_ns: int, state: State) -> bytes:
        """nav_msgs/Odometry of base_link in map; the twist is in base_link, as REP-147 and the message say."""
        rotation = state.rotation[0]
        velocity = rotation.T @ state.velocity[0]
        pose = self._pose(state.position[0], rotation)
        return self._odometry(stamp_ns, "base_link", pose, velocity, state.angular_rate[0])

    def moving(self, stamp_ns: int, box: Box) -> bytes:
        """nav_msgs/Odometry of one box's centre in map; its twist, in the box's frame, tells the velocity."""
        c, s = math.cos(box.yaw), math.sin(box.yaw)
        x, y, z = box.velocity.tolist()
        velocity = np.array([c * x + s * y, c * y - s * x, z])
        return self._odometry(stamp_ns, box_id(box), self._upright(box), velocity, np.zeros(3))

    def boxes(self, stamp_ns: int, boxes: Sequence[Box]) -> bytes:
        """vision_msgs/Detection3DArray in map; ``id`` stays with each object."""
        detection, hypothesis = self._vision("Detection3D"), self._vision("ObjectHypothesis")
        with_pose, bounds = self._vision("ObjectHypothesisWithPose"), self._vision("BoundingBox3D")
        covariance = self._type("geometry_msgs/msg/PoseWithCovariance")
        header, zeros = self.header(stamp_ns, "map"), np.zeros(36)
        detections = []
        for box in boxes:
            pose = self._upright(box)
            result = with_pose(
                hypothesis=hypothesis(class_id=box.kind, score=1.0),
                pose=covariance(pose=pose, covariance=zeros),
            )
            size = self._type("geometry_msgs/msg/Vector3")(*box.size.tolist())
            shape = bounds(center=pose, size=size)
            detections.append(detection(header=header, results=[result], bbox=shape, id=box_id(box)))
        return self._bytes(self._vision("Detection3DArray")(header=header, detections=detections))

    def header(self, stamp_ns: int, frame: str) -> Any:
        """std_msgs/Header."""
        second, nano = divmod(int(stamp_ns), 1_000_000_000)
        stamp = self._type("builtin_interfaces/msg/Time")(sec=second, nanosec=nano)
        return self._type("std_msgs/msg/Header")(stamp=stamp, frame_id=frame)

    def _odometry(self, stamp_ns: int, child: str, pose: Any, velocity: NDArray, rate: NDArray) -> bytes:
        vector, zeros = self._type("geometry_msgs/msg/Vector3"), np.zeros(36)
        twist = self._type("geometry_msgs/msg/Twist")(linear=vector(*velocity.tolist()), angular=vector(*rate.tolist()))
        posed, twisted = self._type("geometry_msgs/msg/PoseWithCovariance"), "geometry_msgs/msg/TwistWithCovariance"
        message = self._type("nav_msgs/msg/Odometry")(
            header=self.header(stamp_ns, "map"),
            child_frame_id=child,
            pose=posed(pose=pose, covariance=zeros),
            twist=self._type(twisted)(twist=twist, covariance=zeros),
        )
        return self._bytes(message)

    def _upright(self, box: Box) -> Any:
        """geometry_msgs/Pose of a box: turned about +z alone."""
        point = self._type("geometry_msgs/msg/Point")(*box.centre.tolist())
        half = 0.5 * box.yaw
        turn = self._type("geometry_msgs/msg/Quaternion")(x=0.0, y=0.0, z=math.sin(half), w=math.cos(half))
        return self._type("geometry_msgs/msg/Pose")(position=point, orientation=turn)

    def _pose(self, position: NDArray[np.float64], rotation: NDArray[np.float64]) -> Any:
        point = self._type("geometry_msgs/msg/Point")(*position.tolist())
        return self._type("geometry_msgs/msg/Pose")(position=point, orientation=self._quaternion(rotation))

    def _quaternion(self, rotation: NDArray[np.float64]) -> Any:
        x, y, z, w = Rotation.from_matrix(rotation).as_quat().tolist()
        return self._type("geometry_msgs/msg/Quaternion")(x=x, y=y, z=z, w=w)

    def _type(self, name: str) -> Any:
        return self.store.types[name]

    def _vision(self, name: str) -> Any:
        return self.store.types[f"vision_msgs/msg/{name}"]

    def _bytes(self, message: Any) -> bytes:
        return bytes(self.store.serialize_cdr(message, message.__msgtype__))


def camera_frame(name: str) -> str:
    """Optical frame of a camera."""
    return f"camera_{name}_optical"


def box_id(box: Box) -> str:
    """As the bag names a moving thing: "car_12"."""
    return f"{box.kind}_{box.identity}"
