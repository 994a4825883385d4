# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What sensors deliver: the types that readers make and that the sequencer puts in order.

Time is int64 nanoseconds. Points, rates and forces are in the frame of the sensor that measured them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

USUAL_PERIOD_NS = 100_000_000
"""From one scan to the next, until a recording shows its own: most LiDARs turn ten times a second."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One LiDAR sweep, in the LiDAR frame.

    Attributes:
        stamp_ns: the cloud's header stamp.
        points: (N, 3) float32 or float64, metres; may hold NaN, inf and zero returns.
        offsets_ns: (N,) int64, time of each point relative to ``stamp_ns`` (may be negative),
            or None where the driver gives no per-point time: the scan is then not deskewed.
        intensity: (N,) float32 as the driver scales it, or None.
    """

    stamp_ns: int
    points: NDArray[np.floating]
    offsets_ns: NDArray[np.int64] | None = None
    intensity: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class ImuSample:
    """One inertial measurement, in the IMU frame.

    Attributes:
        stamp_ns: time of the measurement.
        gyro: (3,) float64 turn rate, rad/s.
        accel: (3,) float64 specific force as the driver gives it: m/s^2, or g where the driver
            breaks REP-145; the odometry recognises which.
    """

    stamp_ns: int
    gyro: NDArray[np.float64]
    accel: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Image:
    """One camera picture.

    Attributes:
        stamp_ns: time of the middle of the exposure as the driver stamps it.
        camera: name of the camera, a key of ``Calibration.cameras``.
        pixels: (H, W, 3) uint8 RGB, or (H, W) uint8 grey.
    """

    stamp_ns: int
    camera: str
    pixels: NDArray[np.uint8]


Measurement = Scan | ImuSample | Image
