# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""From the fit of each scan to ok, degraded or lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slam.lidar_update import Alignment
from slam.odometry_config import HealthConfig
from slam.results import Health, State

MEMORY = 0.05
"""Weight of a new scan in the running mean of the share that fits."""
GOOD_SCANS = 20
LONGEST_SENTENCE = 63


@dataclass(slots=True)
class HealthMonitor:
    """Follows the share of points that fit the map.

    Attributes:
        usual: running mean of that share over good scans; None before the first.
        doubted: doubted scans in a row. lost: lost scans in a row.
    """

    config: HealthConfig
    usual: float | None = None
    doubted: int = 0
    lost: int = 0

    def is_usual(self, alignment: Alignment) -> bool:
        """Whether this scan fits the map as scans did lately."""
        if alignment.fit.matched < self.config.least_points:
            return False
        return self.usual is None or alignment.share >= self.config.lost_share * self.usual

    def fits(self, alignment: Alignment) -> bool:
        """``is_usual``, and keeps count."""
        if not self.is_usual(alignment):
            return self._doubt()
        share = alignment.share
        self.usual = share if self.usual is None else (1.0 - MEMORY) * self.usual + MEMORY * share
        self.doubted = self.lost = 0
        return True

    def _doubt(self) -> bool:
        self.doubted += 1
        if self.doubted >= self.config.lost_scans:
            self.lost += 1
        return False

    def verdict(self, alignment: Alignment, fits: bool) -> Health:
        """Health of this scan, after ``fits`` was asked."""
        if not fits:
            state = State.LOST if self.doubted >= self.config.lost_scans else State.DEGRADED
            usual = f", usually {self.usual:.0%}" if self.usual is not None else ""
            return Health(state, np.eye(3), (f"{alignment.share:.0%} of {alignment.points} points fit the map{usual}",))
        if len(alignment.axes):
            named = ", ".join("({:.2f} {:.2f} {:.2f})".format(*axis) for axis in alignment.axes)
            return Health(State.DEGRADED, alignment.axes, (f"geometry does not hold the position along {named}",))
        return Health()


@dataclass(slots=True)
class Suspicion:
    """Of an IMU that contradicts the LiDAR: it is left out for a while, each time for longer.

    Attributes:
        waiting: scans for which it is still left out.
    """

    waiting: int = 0
    _last: int = 0
    _good: int = 0

    def trusts(self) -> bool:
        """Whether the next scan is predicted with it; keeps count."""
        if self.waiting:
            self.waiting -= 1
            return False
        self._good += 1
        if self._good > GOOD_SCANS:
            self._last = 0
        return True

    def strike(self) -> None:
        """It was found wrong."""
        self._last = min(2 * self._last + 1, LONGEST_SENTENCE)
        self.waiting, self._good = self._last, 0

    def added_to(self, health: Health) -> Health:
        """The verdict, degraded while the IMU is left out."""
        if not self.waiting or health.state is State.LOST:
            return health
        reason = f"the IMU contradicts the LiDAR: left out for {self.waiting} scans more"
        return Health(State.DEGRADED, health.axes, (*health.reasons, reason))
