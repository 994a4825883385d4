# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Inertial samples that wait for their scan: sorted, each stamp once, bounded."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from slam.bundle import ImuBlock

Row = list[float]
MAX_LOOK_AHEAD_NS = 100_000_000


class ImuBuffer:
    """Rows (gx gy gz ax ay az) by stamp, in plain lists: an append costs well under a microsecond."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.stamps: list[int] = []
        self.rows: list[Row] = []

    def __len__(self) -> int:
        return len(self.stamps)

    def insert(self, stamp_ns: int, row: Row) -> bool:
        """Put a sample where its stamp belongs; False where that stamp is there already."""
        if not self.stamps or stamp_ns > self.stamps[-1]:
            self.stamps.append(stamp_ns)
            self.rows.append(row)
            return True
        place = bisect_left(self.stamps, stamp_ns)
        if self.stamps[place] == stamp_ns:
            return False
        self.stamps.insert(place, stamp_ns)
        self.rows.insert(place, row)
        return True

    def take(self, end_ns: int) -> ImuBlock:
        """Remove and return all samples up to the first at or after ``end_ns``, if that is near enough."""
        count = bisect_left(self.stamps, end_ns)
        if count < len(self.stamps) and self.stamps[count] <= end_ns + MAX_LOOK_AHEAD_NS:
            count += 1
        if not count:
            return ImuBlock()
        stamps, rows = self.stamps[:count], np.array(self.rows[:count])
        del self.stamps[:count], self.rows[:count]
        return ImuBlock(np.array(stamps, np.int64), rows[:, :3].copy(), rows[:, 3:].copy())

    def trim(self) -> int:
        """Drop the oldest half once the capacity is passed; how many went."""
        if len(self.stamps) <= self.capacity:
            return 0
        count = self.capacity // 2
        del self.stamps[:count], self.rows[:count]
        return count
