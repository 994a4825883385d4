# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Streams of measurements, and what every filter over them needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from slam.measurements import Image, ImuSample, Measurement, Scan

Filter = Callable[[Iterable[Measurement]], Iterator[Measurement]]
"""Takes a stream of measurements and gives back another; filters compose by calling one on the other's result."""

SENSORS = ("lidar", "imu", "camera")
_JUMP_NS = 2_000_000_000


def sensor_of(measurement: Measurement) -> str:
    """ "lidar", "imu" or "camera"."""
    if isinstance(measurement, Scan):
        return "lidar"
    return "imu" if isinstance(measurement, ImuSample) else "camera"


def source_of(measurement: Measurement) -> str:
    """As ``sensor_of``, with the cameras told apart."""
    return f"camera {measurement.camera}" if isinstance(measurement, Image) else sensor_of(measurement)


def restamped(measurement: Measurement, shift_ns: int) -> Measurement:
    """The same measurement, stamped ``shift_ns`` later."""
    return replace(measurement, stamp_ns=measurement.stamp_ns + shift_ns)


def arrival_ns(measurement: Measurement) -> int:
    """When a measurement can have left its sensor, by its own stamps: a scan after its last point."""
    if isinstance(measurement, Scan) and measurement.offsets_ns is not None and measurement.offsets_ns.size:
        return measurement.stamp_ns + int(measurement.offsets_ns.max())
    return measurement.stamp_ns


def log_times(stream: Iterable[Measurement], scan_ns: int) -> Iterator[tuple[int, Measurement]]:
    """(time, measurement) with non-decreasing times as a recorder's own clock would give them.

    A scan arrives ``scan_ns`` after its stamp. Stamps that jump by more than 2 s do not move that clock.
    """
    now, shift = None, 0
    for measurement in stream:
        nominal = measurement.stamp_ns + (scan_ns if isinstance(measurement, Scan) else 0)
        if now is None:
            now = nominal
        if abs(nominal - shift - now) > _JUMP_NS:
            shift = nominal - now
        now = max(now, nominal - shift)
        yield now, measurement


def chained(stream: Iterable[Measurement], filters: Iterable[Filter]) -> Iterator[Measurement]:
    """The stream through all filters, the first one nearest to the sensor."""
    for one in filters:
        stream = one(stream)
    return iter(stream)


def message_rng(seed: int, measurement: Measurement, salt: int) -> np.random.Generator:
    """Random numbers that depend on the seed and the message's stamp alone, not on what was read before."""
    return np.random.default_rng([seed, salt, measurement.stamp_ns & 0xFFFFFFFFFFFF])
