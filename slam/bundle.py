# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the sequencer hands to the odometry: one scan and all that was measured up to its end."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from slam.measurements import Image, Scan


@dataclass(frozen=True, slots=True)
class ImuBlock:
    """M inertial samples in the order of their stamps, which all differ; all finite.

    Attributes:
        stamps_ns: (M,) int64.
        gyro: (M, 3) float64, rad/s, IMU frame.
        accel: (M, 3) float64, specific force as the driver scales it, IMU frame.
    """

    stamps_ns: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    gyro: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    accel: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))

    def __len__(self) -> int:
        return len(self.stamps_ns)


@dataclass(frozen=True, slots=True)
class ScanBundle:
    """One scan, ready.

    Attributes:
        scan: as it was pushed.
        end_ns: stamp of its last point.
        imu: the samples since those of the bundle before, up to and including the first one at or after
            ``end_ns`` (left for a later bundle where it comes more than 0.1 s after). Every sample is in
            one bundle at most. Empty where there is no IMU, or where it is silent.
        images: pictures up to ``end_ns`` not handed out before, in the order of their stamps.
        events: sentences on what happened since the bundle before.
        clock_jump_ns: how far the stamps jumped between the scan before and this one; 0 normally. Else
            the time between the two scans is unknown: a new segment starts.
        rejected: the stamp of this scan cannot be used (``reason`` says why): give it a predicted pose.
        reason: why it was rejected, empty otherwise.
    """

    scan: Scan
    end_ns: int
    imu: ImuBlock = field(default_factory=ImuBlock)
    images: tuple[Image, ...] = ()
    events: tuple[str, ...] = ()
    clock_jump_ns: int = 0
    rejected: bool = False
    reason: str = ""
