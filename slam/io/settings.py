# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a user may fix about a recording instead of having it recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TimeUnit = Literal["s", "ms", "us", "ns"]
TimeReference = Literal["header_start", "header_end", "absolute", "none"]


@dataclass(frozen=True, slots=True)
class RecordingConfig:
    """Overrides for a reader; None leaves the choice to what the recording itself says.

    Transforms are 7 numbers (x y z, then the quaternion x y z w) or 16 (a 4x4 matrix row by row);
    ``T_a_b`` maps points from frame b into frame a.

    Attributes:
        points_topic: topic of the LiDAR (PointCloud2 or Livox CustomMsg); None: the one with the most points.
        imu_topic: topic of the IMU; None: the one whose frame or name is closest to the LiDAR's.
        image_topics: topics (KITTI: folders such as image_02) of the cameras; None: all that hold pictures.
        ground_truth_topic: Odometry or PoseStamped topic with true poses; None: the first named ground_truth or gt.
        base_frame: frame that the poses are of.
        time_field: name of the per-point time field; an empty string: there is none.
        time_unit: unit of that field.
        time_reference: what its zero is: the header stamp at the scan's start ("header_start"), the header
            stamp at the scan's end ("header_end"), the clock's epoch ("absolute"); "none" drops the field.
        T_base_lidar: where the LiDAR sits.
        T_base_imu: where the IMU sits.
    """

    points_topic: str | None = None
    imu_topic: str | None = None
    image_topics: tuple[str, ...] | None = None
    ground_truth_topic: str | None = None
    base_frame: str = "base_link"
    time_field: str | None = None
    time_unit: TimeUnit | None = None
    time_reference: TimeReference | None = None
    T_base_lidar: tuple[float, ...] | None = None
    T_base_imu: tuple[float, ...] | None = None
