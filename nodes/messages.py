# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The library's types as messages: poses, covariances, clouds, transforms."""

from __future__ import annotations

import array
import math

import numpy as np
from geometry_msgs.msg import Pose, PoseStamped, TransformStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import Header

from slam.results import ScanResult

_XYZ = ("x", "y", "z")


def header(stamp_ns: int, frame: str) -> Header:
    """A header with a stamp in nanoseconds."""
    made = Header(frame_id=frame)
    made.stamp.sec, made.stamp.nanosec = divmod(int(stamp_ns), 1_000_000_000)
    return made


def stamp_ns(header: Header) -> int:
    """The stamp of a header in nanoseconds."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def pose(T: NDArray[np.float64]) -> Pose:
    """A (4, 4) transform as a pose."""
    made = Pose()
    made.position.x, made.position.y, made.position.z = T[:3, 3].tolist()
    q = made.orientation
    q.x, q.y, q.z, q.w = _quaternion(*T[:3, :3].ravel().tolist())
    return made


def _quaternion(
    xx: float, xy: float, xz: float, yx: float, yy: float, yz: float, zx: float, zy: float, zz: float
) -> tuple[float, float, float, float]:
    """Quaternion xyzw of a rotation matrix, by the largest of its parts; of a single one, faster than scipy."""
    parts = (1.0 + xx - yy - zz, 1.0 - xx + yy - zz, 1.0 - xx - yy + zz, 1.0 + xx + yy + zz)
    largest = max(range(4), key=parts.__getitem__)
    rows = (
        (parts[0], xy + yx, xz + zx, zy - yz),
        (xy + yx, parts[1], yz + zy, xz - zx),
        (xz + zx, yz + zy, parts[2], yx - xy),
        (zy - yz, xz - zx, yx - xy, parts[3]),
    )
    half = 0.5 / math.sqrt(parts[largest])
    x, y, z, w = rows[largest]
    return half * x, half * y, half * z, half * w


def matrix(message: Pose) -> NDArray[np.float64]:
    """A pose as a (4, 4) transform.

    Raises:
        ValueError: numbers that are no pose.
    """
    q, p = message.orientation, message.position
    quaternion, position = np.array([q.x, q.y, q.z, q.w]), np.array([p.x, p.y, p.z])
    if not np.isfinite(position).all() or not abs(np.linalg.norm(quaternion) - 1.0) < 0.05:
        raise ValueError(f"position {position.tolist()}, quaternion {quaternion.tolist()}: that is no pose")
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.from_quat(quaternion).as_matrix(), position
    return T


def odometry(result: ScanResult, posed: Pose, odom: str, base: str, twist: NDArray[np.float64]) -> Odometry:
    """A result as nav_msgs/Odometry.

    Args:
        posed: the result's pose of ``base`` in ``odom``.
        twist: (6,) velocity and turn rate of ``base`` in itself, m/s and rad/s.
    """
    made = Odometry(header=header(result.stamp_ns, odom), child_frame_id=base)
    made.pose.pose = posed
    made.pose.covariance = fixed_axes(result.covariance, result.T_odom_base[:3, :3]).ravel()
    made.twist.twist.linear.x, made.twist.twist.linear.y, made.twist.twist.linear.z = twist[:3].tolist()
    made.twist.twist.angular.x, made.twist.twist.angular.y, made.twist.twist.angular.z = twist[3:].tolist()
    return made


def fixed_axes(covariance: NDArray[np.float64], R: NDArray[np.float64]) -> NDArray[np.float64]:
    """(6, 6) of [x, y, z, rotations about the fixed axes] (REP-103), of [rotation in the body, position]."""
    J = np.zeros((6, 6))
    J[:3, 3:], J[3:, :3] = np.eye(3), R
    return np.nan_to_num(J @ covariance @ J.T, nan=0.0)


def transform(stamp_ns: int, parent: str, child: str, posed: Pose) -> TransformStamped:
    """The pose of ``child`` in ``parent`` as a transform."""
    made = TransformStamped(header=header(stamp_ns, parent), child_frame_id=child)
    made.transform.rotation = posed.orientation
    p, t = posed.position, made.transform.translation
    t.x, t.y, t.z = p.x, p.y, p.z
    return made


def cloud(stamp_ns: int, frame: str, points: NDArray[np.floating]) -> PointCloud2:
    """(N, 3) points as a cloud of float32."""
    rows = np.ascontiguousarray(points, np.float32)
    fields = [PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, name in enumerate(_XYZ)]
    data = array.array("B")
    data.frombytes(memoryview(rows).cast("B") if rows.size else b"")
    return PointCloud2(
        header=header(stamp_ns, frame), height=1, width=len(rows), fields=fields, is_bigendian=False, point_step=12,
        row_step=12 * len(rows), data=data, is_dense=True,
    )  # fmt: skip


def stamped(stamp_ns: int, frame: str, T: NDArray[np.float64]) -> PoseStamped:
    """A (4, 4) transform as a pose with a header."""
    return PoseStamped(header=header(stamp_ns, frame), pose=pose(T))


def picture(header: Header, pixels: NDArray[np.uint8]) -> Image:
    """(H, W, 3) RGB as an image."""
    height, width, _ = pixels.shape
    data = array.array("B")
    data.frombytes(memoryview(np.ascontiguousarray(pixels)).cast("B"))
    return Image(header=header, height=height, width=width, encoding="rgb8", step=3 * width, data=data)


def tf_message():
    """tf2_msgs/TFMessage, or None where it is not installed."""
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        return None
    return TFMessage


def livox():
    """livox_ros_driver2/CustomMsg, or None where it is not installed."""
    try:
        from livox_ros_driver2.msg import CustomMsg
    except ImportError:
        return None
    return CustomMsg
