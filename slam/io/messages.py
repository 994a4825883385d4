# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The small messages: IMU, poses, transforms, camera information, pictures. Big-endian and cut-off ones too."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.errors import RecordingError
from slam.io.extrinsics import rotation_from_quaternion, transform
from slam.io.pictures import decode_picture
from slam.io.wire import Wire
from slam.measurements import ImuSample

GYRO_AT, ACCEL_AT = 13 * 8, 25 * 8  # after orientation (4) and its covariance (9); then gyro (3), covariance (9)


def parse_stamp(data: bytes, ros1: bool) -> tuple[int, str]:
    """Stamp in ns and frame of any message that begins with a header."""
    return Wire(data, ros1).header()


def parse_imu(data: bytes, ros1: bool) -> ImuSample:
    """sensor_msgs/Imu. A few microseconds: there are hundreds a second."""
    wire = Wire(data, ros1)
    stamp_ns, _ = wire.header()
    wire.align(8)
    start = wire.at
    wire.skip(ACCEL_AT + 24)
    three = wire.order + "3d"
    gyro = struct.unpack_from(three, data, start + GYRO_AT)
    accel = struct.unpack_from(three, data, start + ACCEL_AT)
    return ImuSample(stamp_ns, np.array(gyro), np.array(accel))


@dataclass(frozen=True, slots=True)
class StampedPose:
    """A pose of ``child`` (empty where the message names none) in ``frame``; quaternion xyzw."""

    stamp_ns: int
    frame: str
    child: str
    position: tuple[float, ...]
    quaternion: tuple[float, ...]

    @property
    def matrix(self) -> NDArray[np.float64]:
        return transform(rotation_from_quaternion(self.quaternion), self.position)


def parse_pose(data: bytes, ros1: bool, has_child: bool) -> StampedPose:
    """nav_msgs/Odometry (``has_child``), geometry_msgs/PoseStamped or PoseWithCovarianceStamped."""
    wire = Wire(data, ros1)
    stamp_ns, frame = wire.header()
    child = wire.string().lstrip("/") if has_child else ""
    return StampedPose(stamp_ns, frame, child, wire.f64(3), wire.f64(4))


def parse_transforms(data: bytes, ros1: bool) -> list[StampedPose]:
    """tf2_msgs/TFMessage."""
    wire = Wire(data, ros1)
    found = []
    for _ in range(wire.u32()):
        stamp_ns, frame = wire.header()
        found.append(StampedPose(stamp_ns, frame, wire.string().lstrip("/"), wire.f64(3), wire.f64(4)))
    return found


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """sensor_msgs/CameraInfo as it stands; K (3, 3), distortion as long as its model needs."""

    frame: str
    width: int
    height: int
    model: str
    distortion: NDArray[np.float64]
    K: NDArray[np.float64]


def parse_camera_info(data: bytes, ros1: bool) -> CameraInfo:
    """sensor_msgs/CameraInfo."""
    wire = Wire(data, ros1)
    _, frame = wire.header()
    height, width, model = wire.u32(), wire.u32(), wire.string()
    return CameraInfo(frame, width, height, model, wire.f64_sequence(), np.array(wire.f64(9)).reshape(3, 3))


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture with its stamp; pixels (H, W, 3) RGB or (H, W), uint8."""

    stamp_ns: int
    frame: str
    pixels: NDArray[np.uint8]


def parse_compressed_image(data: bytes, ros1: bool) -> Picture:
    """sensor_msgs/CompressedImage holding JPEG or PNG."""
    wire = Wire(data, ros1)
    stamp_ns, frame = wire.header()
    wire.string()
    start, size = wire.span()
    return Picture(stamp_ns, frame, decode_picture(bytes(data[start : start + size])))


def parse_image(data: bytes, ros1: bool) -> Picture:
    """sensor_msgs/Image in one of the encodings of ``_decode``."""
    wire = Wire(data, ros1)
    stamp_ns, frame = wire.header()
    height, width, encoding = wire.u32(), wire.u32(), wire.string()
    wire.u8()
    step = wire.u32()
    start, size = wire.span()
    if size < step * height:
        raise RecordingError(f"image {width}x{height} with {step} bytes a row holds only {size} bytes")
    rows = np.frombuffer(data, np.uint8, step * height, start).reshape(height, step)
    return Picture(stamp_ns, frame, _decode(rows, width, encoding))


CHANNELS = {"mono8": 1, "8UC1": 1, "rgb8": 3, "bgr8": 3, "8UC3": 3, "rgba8": 4, "bgra8": 4, "8UC4": 4}


def _decode(rows: NDArray[np.uint8], width: int, encoding: str) -> NDArray[np.uint8]:
    """8-bit pixels of (H, step) bytes; OpenCV's 8UC3 counts as BGR; Bayer patterns take the nearest neighbour."""
    channels = CHANNELS.get(encoding)
    if encoding.startswith("bayer_") and encoding.endswith("8"):
        return _debayer(rows[:, :width], encoding[6:10])
    if channels is None or rows.shape[1] < width * channels:
        known = ", ".join([*CHANNELS, "bayer_*8"])
        raise RecordingError(f"image encoding {encoding!r} ({rows.shape[1]} bytes a row) is none of {known}")
    pixels = rows[:, : width * channels]
    if channels == 1:
        return pixels.copy()
    order = [0, 1, 2] if encoding.startswith("rgb") else [2, 1, 0]
    return np.ascontiguousarray(pixels.reshape(len(rows), width, channels)[:, :, order])


def _debayer(mosaic: NDArray[np.uint8], pattern: str) -> NDArray[np.uint8]:
    """RGB of full size: each 2x2 cell gives its red, its blue and the mean of its greens to all four pixels."""
    height, width = (n // 2 * 2 for n in mosaic.shape)
    cells = [mosaic[k // 2 : height : 2, k % 2 : width : 2] for k in range(4)]
    if sorted(pattern) != ["b", "g", "g", "r"]:
        raise RecordingError(f"Bayer pattern {pattern!r} is none of rggb, bggr, gbrg, grbg")
    one, other = (cells[k].astype(np.uint16) for k in range(4) if pattern[k] == "g")
    green = ((one + other) // 2).astype(np.uint8)
    colour = np.stack([cells[pattern.index("r")], green, cells[pattern.index("b")]], axis=-1)
    return colour.repeat(2, axis=0).repeat(2, axis=1)
