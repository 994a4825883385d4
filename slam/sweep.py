# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""When each point was measured, for scans whose driver sends the same time for all of them.

A spinning scanner measures a point when it looks its way: the bearing tells. Any other sends its points in the order
of their measurement: the index tells. The bearing is that in the sensor's own moving frame, so that motion does not
bias it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from slam.measurements import USUAL_PERIOD_NS, Scan

LEAST_POINTS = 100


def says_nothing(scan: Scan) -> bool:
    """Whether the scan has a time for each point, but the same one for all."""
    offsets = scan.offsets_ns
    return offsets is not None and len(offsets) >= LEAST_POINTS and bool(offsets.min() == offsets.max())


def recovered(scan: Scan, period_ns: int) -> Scan:
    """The scan with times between its header stamp and one period later (0: not known, a tenth of a second)."""
    phase = _phase(scan.points)
    return replace(scan, offsets_ns=(phase * (period_ns or USUAL_PERIOD_NS)).astype(np.int64))


def _phase(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N,) in [0, 1]: how much of the sweep was over when each point was measured."""
    order = np.arange(len(points)) / max(len(points), 1)
    bearing = np.arctan2(points[:, 1], points[:, 0]).astype(float)
    usable = np.isfinite(bearing) & (np.abs(points[:, :2]).sum(1) > 0)
    if usable.sum() < LEAST_POINTS:
        return order
    phase = order.copy()
    if _goes_round(bearing[usable]):
        phase[usable] = _turns(bearing[usable], order[usable])
    return phase


def _goes_round(bearing: NDArray[np.float64]) -> bool:
    counts, _ = np.histogram(bearing, 36, (-np.pi, np.pi))
    return bool((counts > 0).sum() >= 30)


def _turns(bearing: NDArray[np.float64], order: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the turn done at each point, for clouds sent firing by firing or ring by ring."""
    blocks = 64
    means = np.unwrap([np.angle(np.exp(1j * part).mean()) for part in np.array_split(bearing, blocks)])
    if np.abs(np.diff(means)).max() > np.pi / 4:  # ring by ring: each ring is a turn of its own
        direction = np.sign(np.median(np.angle(np.exp(1j * np.diff(bearing)))))
        return np.mod((bearing - bearing[0]) * direction, 2 * np.pi) / (2 * np.pi)
    middles = (np.arange(blocks) + 0.5) / blocks
    expected = np.interp(order, middles, means)
    along = (expected + np.angle(np.exp(1j * (bearing - expected)))) * np.sign(means[-1] - means[0])
    return np.clip((along - np.quantile(along, 0.001)) / (2 * np.pi), 0.0, 1.0)
