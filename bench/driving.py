# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A recording driven through an odometry that the caller made and may look into; ``replay`` does the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import takewhile

from slam.io.recording import Recording
from slam.measurements import Measurement, Scan
from slam.odometry import Odometry
from slam.results import ScanResult
from slam.sequencer import Sequencer, SequencerConfig


def driven(
    recording: Recording,
    odometry: Odometry,
    *,
    scans: int | None = None,
    on_result: Callable[[ScanResult], None] = lambda result: None,
) -> list[ScanResult]:
    """Every scan's result, at most ``scans`` of them; the map is fitted after each."""
    sequencer = Sequencer(SequencerConfig(expect_imu=odometry.use_imu))
    results: list[ScanResult] = []
    for measurement in _first(recording.measurements(images=True), scans):
        for bundle in sequencer.push(measurement):
            results.append(odometry.register(bundle))
            odometry.visual.work()
            on_result(results[-1])
    return results


def _first(items: Iterator[Measurement], scans: int | None) -> Iterator[Measurement]:
    """Everything up to this number of scans."""
    left = float("inf") if scans is None else scans

    def goes_on(item: Measurement) -> bool:
        nonlocal left
        left -= isinstance(item, Scan)
        return left >= 0

    return takewhile(goes_on, items)
