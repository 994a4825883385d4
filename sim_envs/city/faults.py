# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Faults of whole sensors, in PX4's words, as filters over a stream of measurements."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from sim_envs.city.lens import blinded, covered
from sim_envs.city.rain import rained_on
from sim_envs.city.streams import SENSORS, Filter, arrival_ns, message_rng, restamped, sensor_of, source_of
from sim_envs.errors import SimConfigError
from slam.measurements import Image, ImuSample, Measurement, Scan

KINDS: dict[str, tuple[str, float]] = {
    "off": ("nothing comes", 0.0),
    "stuck": ("the last value before the fault comes again and again, with new stamps", 0.0),
    "garbage": ("random values of the right shape", 0.0),
    "wrong": ("believable values that are not true: scaled by 1 + amount and turned or offset by it", 0.1),
    "slow": ("only one message in amount comes", 5.0),
    "delayed": ("messages come amount seconds late, with their true stamps", 0.3),
    "intermittent": ("comes and goes in spells of a fifth of a second; amount is the share lost", 0.5),
    "clock_offset": ("stamps are amount seconds late", 0.02),
    "rain": ("LiDAR only: amount mm/h of rain gives near returns and swallows far ones", 20.0),
    "black": ("camera only: no light reaches the sensor", 0.0),
    "white": ("camera only: every pixel is saturated", 0.0),
    "covered": ("camera only: something dark lies over the share amount of the lens, from the left", 0.5),
}
"""Word for a fault -> (what it does, the amount taken where none is given)."""

ONLY_FOR = {"rain": "lidar", "black": "camera", "white": "camera", "covered": "camera"}
"""Kinds that one sensor alone knows."""

_SPELL_NS = 200_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """One sensor failing for some time.

    Attributes:
        sensor: "lidar", "imu", "camera".
        kind: a key of ``KINDS``.
        start_s: from this time on, seconds since the drive's start, by the messages' stamps.
        end_s: until before this time.
        amount: how much, see ``KINDS``; None for its usual amount.
    """

    sensor: str
    kind: str
    start_s: float = 0.0
    end_s: float = np.inf
    amount: float | None = None

    def __post_init__(self) -> None:
        if self.sensor not in SENSORS:
            raise SimConfigError(f"fault of sensor {self.sensor!r}: there are {', '.join(SENSORS)}")
        if self.kind not in KINDS:
            raise SimConfigError(f"fault {self.kind!r} is not known: {', '.join(KINDS)}")
        if (only := ONLY_FOR.get(self.kind, self.sensor)) != self.sensor:
            raise SimConfigError(f"fault {self.sensor}:{self.kind}: it is simulated for the {only} alone")
        if not self.start_s < self.end_s:
            raise SimConfigError(f"fault {self.sensor}:{self.kind} from {self.start_s} s to {self.end_s} s is empty")

    @property
    def how_much(self) -> float:
        """The amount given, or the usual one."""
        return KINDS[self.kind][1] if self.amount is None else self.amount


def parse_fault(text: str) -> Fault:
    """``sensor:kind[:start_s[:end_s[:amount]]]``, as on the command line: "imu:off:10:11".

    Raises:
        SimConfigError: the text is no fault.
    """
    parts = text.split(":")
    if not 2 <= len(parts) <= 5:
        raise SimConfigError(f"fault {text!r} has {len(parts)} parts: sensor:kind[:start_s[:end_s[:amount]]]")
    try:
        return Fault(parts[0], parts[1], *(float(part) for part in parts[2:]))
    except ValueError as error:
        raise SimConfigError(f"fault {text!r}: {error}") from error


def fault_filter(fault: Fault, origin_ns: int, seed: int = 0) -> Filter:
    """The fault as a filter over a stream whose time 0 is ``origin_ns``."""
    start = origin_ns + round(fault.start_s * 1e9)
    end = origin_ns + round(fault.end_s * 1e9) if np.isfinite(fault.end_s) else np.iinfo(np.int64).max

    def active(measurement: Measurement) -> bool:
        return sensor_of(measurement) == fault.sensor and start <= measurement.stamp_ns < end

    if fault.kind == "stuck":
        return lambda stream: _stuck(stream, active)
    if fault.kind == "slow":
        return lambda stream: _slow(stream, active, max(1, round(fault.how_much)))
    if fault.kind == "delayed":
        return lambda stream: _delayed(stream, active, round(fault.how_much * 1e9))
    change = _CHANGES[fault.kind]
    return lambda stream: _changed(stream, active, lambda m: change(m, fault.how_much, seed))


_Active = Callable[[Measurement], bool]
_Change = Callable[[Measurement, float, int], "Measurement | None"]


def _changed(
    stream: Iterable[Measurement], active: _Active, change: Callable[[Measurement], Measurement | None]
) -> Iterator[Measurement]:
    for measurement in stream:
        after = change(measurement) if active(measurement) else measurement
        if after is not None:
            yield after


def _stuck(stream: Iterable[Measurement], active: _Active) -> Iterator[Measurement]:
    last: dict[str, Measurement] = {}
    for measurement in stream:
        source = source_of(measurement)
        if not active(measurement):
            last[source] = measurement
            yield measurement
        elif source in last:
            yield replace(last[source], stamp_ns=measurement.stamp_ns)


def _slow(stream: Iterable[Measurement], active: _Active, every: int) -> Iterator[Measurement]:
    seen: dict[str, int] = {}
    for measurement in stream:
        source = source_of(measurement)
        if not active(measurement):
            yield measurement
            continue
        seen[source] = seen.get(source, -1) + 1
        if seen[source] % every == 0:
            yield measurement


def _delayed(stream: Iterable[Measurement], active: _Active, delay_ns: int) -> Iterator[Measurement]:
    waiting: deque[tuple[int, Measurement]] = deque()
    for measurement in stream:
        now = arrival_ns(measurement)
        while waiting and waiting[0][0] <= now:
            yield waiting.popleft()[1]
        if active(measurement):
            waiting.append((now + delay_ns, measurement))
        else:
            yield measurement
    yield from (measurement for _, measurement in waiting)


def _off(measurement: Measurement, amount: float, seed: int) -> None:
    return None


def _intermittent(measurement: Measurement, amount: float, seed: int) -> Measurement | None:
    spell = np.random.default_rng([seed, 0x1E7, measurement.stamp_ns // _SPELL_NS])
    return None if spell.random() < amount else measurement


def _garbage(measurement: Measurement, amount: float, seed: int) -> Measurement:
    rng = message_rng(seed, measurement, 0x6A8)
    if isinstance(measurement, ImuSample):
        return replace(measurement, gyro=rng.uniform(-10.0, 10.0, 3), accel=rng.uniform(-80.0, 80.0, 3))
    if isinstance(measurement, Image):
        return replace(measurement, pixels=rng.integers(0, 256, measurement.pixels.shape, np.uint8))
    points = rng.uniform(-100.0, 100.0, measurement.points.shape).astype(measurement.points.dtype)
    return replace(measurement, points=points)


def _wrong(measurement: Measurement, amount: float, seed: int) -> Measurement:
    if isinstance(measurement, ImuSample):
        gyro = np.add(measurement.gyro, [0.0, 0.0, amount])
        return replace(measurement, gyro=gyro, accel=measurement.accel * (1.0 + amount))
    if isinstance(measurement, Image):
        return replace(measurement, pixels=np.ascontiguousarray(measurement.pixels[:, ::-1]))
    c, s = np.cos(amount), np.sin(amount)
    turn = (1.0 + amount) * np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return replace(measurement, points=(measurement.points @ turn.T).astype(measurement.points.dtype))


def _clock_offset(measurement: Measurement, amount: float, seed: int) -> Measurement:
    return restamped(measurement, round(amount * 1e9))


def _rain(measurement: Measurement, amount: float, seed: int) -> Measurement:
    assert isinstance(measurement, Scan)
    return rained_on(measurement, amount, message_rng(seed, measurement, 0x2A1))


def _black(measurement: Measurement, amount: float, seed: int) -> Measurement:
    assert isinstance(measurement, Image)
    return blinded(measurement, 0)


def _white(measurement: Measurement, amount: float, seed: int) -> Measurement:
    assert isinstance(measurement, Image)
    return blinded(measurement, 255)


def _covered(measurement: Measurement, amount: float, seed: int) -> Measurement:
    assert isinstance(measurement, Image)
    return covered(measurement, amount)


_CHANGES: dict[str, _Change] = {
    "off": _off,
    "intermittent": _intermittent,
    "garbage": _garbage,
    "wrong": _wrong,
    "clock_offset": _clock_offset,
    "rain": _rain,
    "black": _black,
    "white": _white,
    "covered": _covered,
}
