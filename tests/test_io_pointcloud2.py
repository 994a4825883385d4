# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Layouts of PointCloud2 that drivers really send."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bag_writing import START_NS, Messages, cloud_rows, points_dtype, ring
from slam.errors import RecordingError
from slam.io.messages import parse_imu
from slam.io.pointcloud2 import Cloud, parse_pointcloud2

CDR, ROS1 = Messages(False), Messages(True)


def through(message: Any, m: Messages = CDR) -> Cloud:
    return parse_pointcloud2(serialized(message, m), m.ros1, {"t"})


def serialized(message: Any, m: Messages) -> bytes:
    serialize = m.store.serialize_ros1 if m.ros1 else m.store.serialize_cdr
    return bytes(serialize(message, message.__msgtype__))


@pytest.mark.parametrize("frame", ["", "a", "lidar", "/os_sensor", "a_frame_with_a_long_name"])
@pytest.mark.parametrize("m", [CDR, ROS1], ids=["cdr", "ros1"])
def test_frames_of_any_length_keep_the_alignment(m: Messages, frame: str) -> None:
    rows = cloud_rows(ring(), points_dtype("t", "u4"), "t", np.arange(64))
    cloud = through(m.cloud(START_NS + 5, rows, frame), m)
    assert cloud.stamp_ns == START_NS + 5 and cloud.frame == frame.lstrip("/")
    assert np.allclose(cloud.points, ring(), atol=1e-5) and np.array_equal(cloud.times["t"], np.arange(64))
    imu = m.imu(START_NS, (1, 2, 3), (4, 5, 6), frame)
    sample = parse_imu(serialized(imu, m), m.ros1)
    assert sample.gyro.tolist() == [1, 2, 3] and sample.accel.tolist() == [4, 5, 6] and sample.stamp_ns == START_NS


def test_big_endian_messages_are_read() -> None:
    imu = CDR.imu(START_NS, (1, 2, 3), (4, 5, 6))
    data = bytes(CDR.store.serialize_cdr(imu, imu.__msgtype__, little_endian=False))
    assert parse_imu(data, False).accel.tolist() == [4, 5, 6]


def test_an_organised_cloud_keeps_all_its_points_and_their_nan() -> None:
    rows = cloud_rows(ring(), points_dtype()).reshape(4, 16)
    rows["x"][1, 3] = np.nan
    cloud = through(CDR.cloud(START_NS, rows))
    assert cloud.points.shape == (64, 3) and np.isnan(cloud.points[19, 0])


def test_rows_with_padding_after_them_are_stepped_over() -> None:
    rows = cloud_rows(ring(), points_dtype("t", "u4"), "t", np.arange(64)).reshape(4, 16)
    step = rows.dtype.itemsize * 16
    padded = b"".join(row.tobytes() + b"\xff" * 24 for row in rows)
    cloud = through(CDR.cloud(START_NS, rows, row_step=step + 24, data=np.frombuffer(padded, np.uint8)))
    assert np.allclose(cloud.points, ring(), atol=1e-5) and np.array_equal(cloud.times["t"], np.arange(64))


def test_big_endian_points_are_turned_round() -> None:
    dtype = points_dtype("t", "u4", order=">")
    cloud = through(CDR.cloud(START_NS, cloud_rows(ring(), dtype, "t", np.arange(64)), is_bigendian=True))
    assert np.allclose(cloud.points, ring(), atol=1e-5) and np.array_equal(cloud.times["t"], np.arange(64))
    assert cloud.points.dtype == np.dtype("f4") and cloud.times["t"].dtype == np.dtype("u4")


def test_coordinates_in_any_order_and_as_doubles_are_read() -> None:
    dtype = np.dtype([("z", "<f8"), ("y", "<f8"), ("reflectivity", "<u2"), ("x", "<f8")])
    rows = np.zeros(64, dtype)
    for k, axis in enumerate("xyz"):
        rows[axis] = ring()[:, k]
    rows["reflectivity"] = 300
    cloud = through(CDR.cloud(START_NS, rows))
    assert np.array_equal(cloud.points, ring()) and cloud.points.dtype == np.float64 and cloud.intensity[0] == 300


def test_points_of_twelve_bytes_are_copied_out_of_the_message() -> None:
    rows = np.zeros(64, [("x", "<f4"), ("y", "<f4"), ("z", "<f4")])
    cloud = through(CDR.cloud(START_NS, rows))
    assert cloud.points.flags.writeable and cloud.intensity is None


def test_a_row_step_of_zero_counts_as_width_times_point_step() -> None:
    cloud = through(CDR.cloud(START_NS, cloud_rows(ring(), points_dtype()).reshape(4, 16), row_step=0))
    assert np.allclose(cloud.points, ring(), atol=1e-5)


def test_an_empty_cloud_has_no_points() -> None:
    cloud = through(CDR.cloud(START_NS, cloud_rows(ring(), points_dtype())[:0]))
    assert cloud.points.shape == (0, 3)


@pytest.mark.parametrize(
    "layout, message",
    [
        ({"width": 10**9}, "needs 40000000000 bytes, the message holds 2560"),
        ({"fields": []}, "cloud without x, y, z"),
        ({"point_step": 8, "row_step": 512}, "ends at byte 12 of a point of 8"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused_before_anything_is_allocated(layout: dict, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        through(CDR.cloud(START_NS, cloud_rows(ring(), points_dtype()), **layout))
