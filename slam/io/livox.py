# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""livox_ros_driver/CustomMsg and livox_ros_driver2/CustomMsg, which share one layout."""

from __future__ import annotations

import numpy as np

from slam.errors import RecordingError
from slam.io.pointcloud2 import Cloud
from slam.io.wire import Wire

TIME_FIELD = "offset_time"
POINT_BYTES = 19
FIELDS = ("offset_time", "x", "y", "z", "reflectivity", "tag", "line")


def _point_dtype(order: str, step: int) -> np.dtype:
    """uint32 offset_time, float32 x y z, uint8 reflectivity tag line; CDR pads a point to 20 bytes, ROS 1 does not."""
    return np.dtype({
        "names": ["time", "xyz", "reflectivity"],
        "formats": [order + "u4", (order + "f4", (3,)), "u1"],
        "offsets": [0, 4, 16],
        "itemsize": step,
    })  # fmt: skip


def parse_custom_msg(data: bytes, ros1: bool) -> Cloud:
    """Decode a cloud; its time is absolute: time base plus offset, both in ns.

    Raises:
        RecordingError: fewer bytes than points.
    """
    wire = Wire(data, ros1)
    stamp_ns, frame = wire.header()
    timebase = wire.u64()
    wire.u32()
    wire.skip(4)
    count = wire.u32()
    dtype = _point_dtype(wire.order, POINT_BYTES if ros1 else 20)
    available = len(data) - wire.at
    if count and available < dtype.itemsize * (count - 1) + POINT_BYTES:
        raise RecordingError(f"CustomMsg announces {count} points, but holds {available} bytes for them")
    points = np.ndarray(count, dtype, _padded(data, wire.at, dtype.itemsize * count), wire.at)
    times = points["time"].astype(np.int64) + timebase
    xyz = np.ascontiguousarray(points["xyz"], np.float32)
    return Cloud(stamp_ns, frame, xyz, {TIME_FIELD: times}, points["reflectivity"].astype(np.float32), FIELDS)


def _padded(data: bytes, start: int, size: int) -> bytes:
    """The message, with the padding after the last point that CDR leaves out."""
    missing = start + size - len(data)
    return data if missing <= 0 else bytes(data) + bytes(missing)
