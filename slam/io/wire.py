# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A cursor over one serialised message: CDR (ROS 2) or ROS 1, so that each message is parsed once for both.

Written by hand because a generic deserialiser copies the big arrays and takes 50 us for an inertial sample.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from slam.errors import RecordingError

ENCAPSULATION = 4  # bytes before a CDR message; alignment counts from after them
XCDR2_FIRST, XCDR2_LAST = 6, 11


class Wire:
    """Reads primitive values one after the other.

    Attributes:
        data: the whole message.
        at: position of the next byte.
        order: "<" or ">".
    """

    __slots__ = ("_align", "_max_align", "at", "data", "order", "ros1")

    def __init__(self, data: bytes, ros1: bool) -> None:
        self.data = data
        self.ros1 = ros1
        self.order = "<"
        self.at = 0
        self._align = not ros1
        self._max_align = 8
        if not ros1:
            if len(data) < ENCAPSULATION:
                raise RecordingError(f"a message of {len(data)} bytes is too short to be CDR")
            self.order = "<" if data[1] & 1 else ">"
            self._max_align = 4 if XCDR2_FIRST <= data[1] <= XCDR2_LAST else 8
            self.at = ENCAPSULATION

    def align(self, size: int) -> None:
        """Skip the padding before a value of ``size`` bytes (none in ROS 1)."""
        if self._align:
            size = min(size, self._max_align)
            self.at += -(self.at - ENCAPSULATION) % size

    def skip(self, size: int) -> None:
        """Pass over bytes, which must be there."""
        self.at += size
        if self.at > len(self.data):
            raise RecordingError(f"message cut off: {len(self.data)} bytes, more than {self.at} needed")

    def u8(self) -> int:
        self.skip(1)
        return self.data[self.at - 1]

    def u32(self) -> int:
        self.align(4)
        self.skip(4)
        return struct.unpack_from(self.order + "I", self.data, self.at - 4)[0]

    def i32(self) -> int:
        self.align(4)
        self.skip(4)
        return struct.unpack_from(self.order + "i", self.data, self.at - 4)[0]

    def u64(self) -> int:
        self.align(8)
        self.skip(8)
        return struct.unpack_from(self.order + "Q", self.data, self.at - 8)[0]

    def f64(self, count: int) -> tuple[float, ...]:
        """``count`` doubles in a row."""
        self.align(8)
        self.skip(8 * count)
        return struct.unpack_from(f"{self.order}{count}d", self.data, self.at - 8 * count)

    def f64_sequence(self) -> NDArray[np.float64]:
        """A sequence of doubles, length first."""
        count = self.u32()
        return np.array(self.f64(count) if count else (), float)

    def string(self) -> str:
        """A string; CDR ends it with a zero byte, which is cut away."""
        size = self.u32()
        self.skip(size)
        return self.data[self.at - size : self.at].rstrip(b"\0").decode(errors="replace")

    def span(self) -> tuple[int, int]:
        """Position and size of a byte sequence, which is passed over."""
        size = self.u32()
        self.skip(size)
        return self.at - size, size

    def header(self) -> tuple[int, str]:
        """std_msgs/Header: stamp in ns, frame without a leading slash."""
        if self.ros1:
            self.skip(4)
        seconds = self.u32() if self.ros1 else self.i32()
        stamp_ns = seconds * 1_000_000_000 + self.u32()
        return stamp_ns, self.string().lstrip("/")
