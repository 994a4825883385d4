# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The last poses of the odometry: which one belongs to a scan, and where the vehicle has got to since."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

_KEPT = 50
_JUMP_NS = 1_000_000_000
_LEAP_M, _FASTEST, _SWERVE = 2.0, 30.0, 10.0
"""No vehicle gets farther from where its motion led than metres and m/s^2; nor m/s, while its speed is not known."""


class Poses:
    """Poses of base_link in odom, in the order of their stamps."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, NDArray[np.float64]]] = deque(maxlen=_KEPT)

    def add(self, stamp_ns: int, T_odom_base: NDArray[np.float64]) -> bool:
        """Take in a pose (4, 4); False where all before has nothing to do with it, and is forgotten.

        Its stamp jumped back; or it leapt, as where the odometry was started again and begins anew at the origin.
        """
        last = self._kept[-1][0] if self._kept else stamp_ns - 1
        jumped = stamp_ns < last - _JUMP_NS or (stamp_ns > last and self._leaps(stamp_ns, T_odom_base[:3, 3]))
        if jumped:
            self._kept.clear()
        if jumped or stamp_ns > last:
            self._kept.append((stamp_ns, T_odom_base))
        return not jumped

    def _leaps(self, stamp_ns: int, here: NDArray[np.float64]) -> bool:
        if not self._kept:
            return False
        last_ns, last = self._kept[-1]
        ahead_s = 1e-9 * (stamp_ns - last_ns)
        if len(self._kept) == 1:
            return bool(np.linalg.norm(here - last[:3, 3]) > _LEAP_M + _FASTEST * ahead_s)
        before_ns, before = self._kept[-2]
        led = last[:3, 3] + (last - before)[:3, 3] * (stamp_ns - last_ns) / (last_ns - before_ns)
        return bool(np.linalg.norm(here - led) > _LEAP_M + _SWERVE * ahead_s**2)

    def at(self, stamp_ns: int, within_ns: int) -> NDArray[np.float64] | None:
        """(4, 4) the pose whose stamp is nearest; None where none is within so many nanoseconds."""
        nearest = min(self._kept, key=lambda one: abs(one[0] - stamp_ns), default=None)
        return nearest[1] if nearest is not None and abs(nearest[0] - stamp_ns) <= within_ns else None

    def carried_to(self, stamp_ns: int, longest_ns: int) -> tuple[int, NDArray[np.float64]] | None:
        """The stamp and the (4, 4) pose that the motion between the last two leads to, at most so far beyond them.

        None before the second pose. Whoever steers by a pose as old as a sweep steers at where the vehicle was.
        """
        if len(self._kept) < 2:
            return None
        (before_ns, before), (last_ns, last) = self._kept[-2], self._kept[-1]
        ahead_ns = int(np.clip(stamp_ns - last_ns, 0, longest_ns))
        share = ahead_ns / (last_ns - before_ns)
        step = np.linalg.inv(before) @ last
        moved = np.eye(4)
        moved[:3, :3] = Rotation.from_rotvec(share * Rotation.from_matrix(step[:3, :3]).as_rotvec()).as_matrix()
        moved[:3, 3] = share * step[:3, 3]
        return last_ns + ahead_ns, last @ moved
