# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Faults of messages: what drivers, clocks and networks do to a stream of measurements.

Each function gives a ``Filter``; scans are counted from 0, times are seconds since ``origin_ns``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from sim_envs.city.streams import Filter, message_rng, restamped
from slam.measurements import ImuSample, Measurement, Scan

HOUR_NS = 3_600_000_000_000


def _each_scan(change: Callable[[int, Scan], Scan | None]) -> Filter:
    def run(stream: Iterable[Measurement]) -> Iterator[Measurement]:
        number = 0
        for measurement in stream:
            after: Measurement | None = measurement
            if isinstance(measurement, Scan):
                after = change(number, measurement)
                number += 1
            if after is not None:
                yield after

    return run


def equal_point_stamps() -> Filter:
    """All points of a scan say that they were measured at its stamp."""
    return _each_scan(lambda _, scan: replace(scan, offsets_ns=np.zeros(len(scan.points), np.int64)))


def bad_points(nan: float = 0.05, infinite: float = 0.01, seed: int = 0) -> Filter:
    """A share of the points of every scan is NaN, another infinite."""

    def change(_: int, scan: Scan) -> Scan:
        points = scan.points.copy()
        luck = message_rng(seed, scan, 0xBAD).random(len(points))
        points[luck < nan] = np.nan
        points[(luck >= nan) & (luck < nan + infinite)] = np.inf
        return replace(scan, points=points)

    return _each_scan(change)


def empty_scan(number: int) -> Filter:
    """Scan ``number`` holds no point."""

    def change(index: int, scan: Scan) -> Scan:
        if index != number:
            return scan
        offsets = None if scan.offsets_ns is None else scan.offsets_ns[:0]
        intensity = None if scan.intensity is None else scan.intensity[:0]
        return replace(scan, points=scan.points[:0], offsets_ns=offsets, intensity=intensity)

    return _each_scan(change)


def missing_scans(first: int, count: int = 10) -> Filter:
    """``count`` scans from number ``first`` on never come."""
    return _each_scan(lambda index, scan: None if first <= index < first + count else scan)


def imu_gap(start_s: float, origin_ns: int, duration_s: float = 1.0) -> Filter:
    """No inertial sample for a while."""
    start = origin_ns + round(start_s * 1e9)
    end = start + round(duration_s * 1e9)

    def run(stream: Iterable[Measurement]) -> Iterator[Measurement]:
        for measurement in stream:
            if not (isinstance(measurement, ImuSample) and start <= measurement.stamp_ns < end):
                yield measurement

    return run


def saturated_imu(
    start_s: float, origin_ns: int, duration_s: float = 1.0, accel_limit: float = 10.0, gyro_limit: float = 0.25
) -> Filter:
    """For a while the IMU cannot say more than its (small) limits, in m/s^2 and rad/s on each axis."""
    start = origin_ns + round(start_s * 1e9)
    end = start + round(duration_s * 1e9)

    def run(stream: Iterable[Measurement]) -> Iterator[Measurement]:
        for measurement in stream:
            if isinstance(measurement, ImuSample) and start <= measurement.stamp_ns < end:
                gyro = np.clip(measurement.gyro, -gyro_limit, gyro_limit)
                accel = np.clip(measurement.accel, -accel_limit, accel_limit)
                measurement = replace(measurement, gyro=gyro, accel=accel)
            yield measurement

    return run


def disordered(swap: float = 0.05, repeat: float = 0.05, seed: int = 0) -> Filter:
    """A share of the messages comes after the next one, another share comes twice."""

    def run(stream: Iterable[Measurement]) -> Iterator[Measurement]:
        held: Measurement | None = None
        for measurement in stream:
            luck = message_rng(seed, measurement, 0xD15).random()
            if held is None and luck < swap:
                held = measurement
                continue
            yield measurement
            if swap <= luck < swap + repeat:
                yield measurement
            if held is not None:
                yield held
                held = None
        if held is not None:
            yield held

    return run


def one_wrong_stamp(number: int, shift_ns: int = HOUR_NS) -> Filter:
    """Scan ``number`` is stamped an hour ahead (or back, for a negative shift)."""

    def change(index: int, scan: Scan) -> Scan:
        return replace(scan, stamp_ns=scan.stamp_ns + shift_ns) if index == number else scan

    return _each_scan(change)


def one_wrong_imu_stamp(number: int, shift_ns: int = HOUR_NS) -> Filter:
    """Inertial sample ``number`` is stamped an hour ahead (or back)."""

    def run(stream: Iterable[Measurement]) -> Iterator[Measurement]:
        index = -1
        for measurement in stream:
            index += isinstance(measurement, ImuSample)
            wrong = isinstance(measurement, ImuSample) and index == number
            yield restamped(measurement, shift_ns) if wrong else measurement

    return run


def clock_jump(start_s: float, origin_ns: int, shift_ns: int = HOUR_NS) -> Filter:
    """All stamps from some moment on are shifted by an hour."""
    start = origin_ns + round(start_s * 1e9)

    def run(stream: Iterable[Measurement]) -> Iterator[Measurement]:
        for measurement in stream:
            yield restamped(measurement, shift_ns) if measurement.stamp_ns >= start else measurement

    return run


def fault_matrix(origin_ns: int, at_s: float = 10.0, scan_hz: float = 10.0, seed: int = 0) -> dict[str, Filter]:
    """One filter for each fault that an odometry must survive, all striking about ``at_s``."""
    number = round(at_s * scan_hz)
    return {
        "all point stamps equal": equal_point_stamps(),
        "5 % NaN and 1 % inf points": bad_points(seed=seed),
        "an empty scan": empty_scan(number),
        "ten scans missing": missing_scans(number),
        "one second without IMU": imu_gap(at_s, origin_ns),
        "IMU saturated": saturated_imu(at_s, origin_ns),
        "out-of-order and duplicate messages": disordered(seed=seed),
        "one scan stamped 1 h ahead": one_wrong_stamp(number),
        "one scan stamped 1 h back": one_wrong_stamp(number, -HOUR_NS),
        "one IMU sample stamped 1 h ahead": one_wrong_imu_stamp(20 * number),
        "one IMU sample stamped 1 h back": one_wrong_imu_stamp(20 * number, -HOUR_NS),
        "all stamps shifted by 1 h from some moment on": clock_jump(at_s, origin_ns),
    }
