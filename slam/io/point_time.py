# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Per-point time: which field, which unit, and what its zero is, recognised from the values of the first scans.

Drivers agree on nothing: Velodyne sends float32 seconds (negative where the header is stamped at the scan's end),
Ouster uint32 nanoseconds, Hesai and RoboSense float64 seconds of the epoch, Livox float64 nanoseconds of the epoch.
But a sweep takes about one scan period, and units are a factor of 1000 apart, so that the values tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slam.errors import RecordingError
from slam.io.pointcloud2 import Cloud, normalised
from slam.io.settings import RecordingConfig
from slam.measurements import USUAL_PERIOD_NS, Scan

TIME_NAMES = frozenset({
    "t", "time", "timestamp", "timestamps", "stamp", "ts", "offsettime", "timeoffset", "toffset", "dt", "deltat",
    "deltatime", "relativetime", "reltime", "pointtime", "ptime", "tns", "tus", "timens", "timeus", "timesec",
    "timestampns", "timestampus",
})  # fmt: skip
UNITS_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
CLEAR_SPAN = (0.02, 1.6)  # of a scan period
MAX_OFFSET_NS = 1_000_000_000

Zero = Literal["header", "epoch", "first", "last"]


@dataclass(frozen=True, slots=True)
class PointTime:
    """How the values of one field become offsets from the header stamp.

    Attributes:
        field: its name.
        unit_ns: nanoseconds in one unit.
        zero: what zero means: the header stamp, the clock's epoch, or nothing, so that the first (or last)
            point of each scan is put at the header stamp.
    """

    field: str
    unit_ns: int
    zero: Zero

    def offsets_ns(self, values: NDArray, header_ns: int, valid: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """(N,) int64 offsets; a value that is not finite, or over a second off, gives 0.

        Args:
            values: (N,) in the driver's own type.
            header_ns: stamp of the cloud.
            valid: (N,) points that are real returns; the first and last are looked for among these.
        """
        if self.zero == "epoch":
            offsets = _since(values, header_ns, self.unit_ns)
        elif self.zero == "header":
            offsets = _scaled(values, self.unit_ns)
        else:
            signed = values.astype(np.int64) if values.dtype.kind in "iu" else values
            offsets = _scaled(signed - self._end(signed, valid), self.unit_ns)
        if len(offsets) and max(-int(offsets.min()), int(offsets.max())) > MAX_OFFSET_NS:
            offsets[np.abs(offsets) > MAX_OFFSET_NS] = 0
        return offsets

    def _end(self, values: NDArray, valid: NDArray[np.bool_] | None) -> float | int:
        real = _finite(values if valid is None else values[valid])
        if not len(real):
            return values.dtype.type(0)
        return (real.min() if self.zero == "first" else real.max()).item()


def recognise(clouds: Sequence[Cloud], settings: RecordingConfig) -> tuple[PointTime | None, str]:
    """Recognise the per-point time from the first clouds; also a sentence that says what was found, and how sure.

    Raises:
        RecordingError: the configured field is not there.
    """
    if settings.time_field == "" or settings.time_reference == "none":
        return None, "per-point time: switched off in the configuration; scans are not deskewed"
    names = _candidates(clouds, settings)
    if not names:
        return None, "per-point time: the clouds carry none; scans are not deskewed"
    period_ns = _period_ns(clouds)
    found = [f for name in names if (f := _Evidence.of(clouds, name, period_ns)) is not None]
    if not found:
        return PointTime(
            names[0], 1, "first"
        ), f"per-point time: field '{names[0]}' is the same for all points of a scan"
    clear = [f for f in found if f.is_clear] or found
    return clear[0].conclude(settings)


def scan_of(cloud: Cloud, time: PointTime | None) -> Scan:
    """The cloud as a scan, with the offsets of its points where ``time`` says how to read them."""
    offsets = None
    if time is not None and time.field in cloud.times:
        valid = real_returns(cloud.points) if time.zero in ("first", "last") else None
        offsets = time.offsets_ns(cloud.times[time.field], cloud.stamp_ns, valid)
    return Scan(cloud.stamp_ns, cloud.points, offsets, cloud.intensity)


def _candidates(clouds: Sequence[Cloud], settings: RecordingConfig) -> list[str]:
    names = list(dict.fromkeys(name for cloud in clouds for name in cloud.times))
    if settings.time_field is None:
        return names
    wanted = [name for name in names if normalised(name) == normalised(settings.time_field)]
    if not wanted:
        have = ", ".join(dict.fromkeys(name for cloud in clouds for name in cloud.fields))
        raise RecordingError(f"time_field {settings.time_field!r} is not in the clouds; their fields are {have}")
    return wanted


def _period_ns(clouds: Sequence[Cloud]) -> float:
    steps = np.diff([cloud.stamp_ns for cloud in clouds])
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else float(USUAL_PERIOD_NS)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What the values of one field look like over the first scans, in the field's own unit."""

    name: str
    kind: str
    period_ns: float
    header_ns: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, clouds: Sequence[Cloud], name: str, period_ns: float) -> _Evidence | None:
        """None where the field is constant within every scan."""
        rows, kind = [], ""
        for cloud in clouds:
            values = _finite(cloud.times[name][real_returns(cloud.points)]) if name in cloud.times else np.zeros(0)
            if len(values):
                low, high = np.quantile(values.astype(np.float64), [0.005, 0.995])
                rows.append((cloud.stamp_ns, low, high))
                kind = str(values.dtype)
        if not rows or all(high <= low for _, low, high in rows):
            return None
        stamps, low, high = zip(*rows, strict=True)
        return cls(name, kind, period_ns, np.array(stamps, np.int64), np.array(low), np.array(high))

    @property
    def span(self) -> float:
        return float(np.median(self.high - self.low))

    def spans_ratio(self, unit_ns: int) -> float:
        """Sweep duration over scan period, were the unit this one."""
        return max(self.span * unit_ns / self.period_ns, 1e-12)

    @property
    def unit(self) -> str:
        """The unit in which a sweep lasts most nearly one period."""
        return min(UNITS_NS, key=lambda u: abs(np.log(self.spans_ratio(UNITS_NS[u]) / 0.9)))

    @property
    def is_clear(self) -> bool:
        return CLEAR_SPAN[0] <= self.spans_ratio(UNITS_NS[self.unit]) <= CLEAR_SPAN[1]

    def conclude(self, settings: RecordingConfig) -> tuple[PointTime, str]:
        unit = settings.time_unit or self.unit
        zero, meaning = self._zero(UNITS_NS[unit], settings)
        ratio = self.spans_ratio(UNITS_NS[unit])
        sentence = f"per-point time: field '{self.name}' ({self.kind}) in {unit}, {meaning}; a scan spans " + (
            f"{ratio * self.period_ns / 1e6:.1f} ms of a period of {self.period_ns / 1e6:.1f} ms"
        )
        if settings.time_unit is None and not self.is_clear:
            sentence += f"; warning: ambiguous, no unit gives about one period, {unit} is nearest (set time_unit)"
        return PointTime(self.name, UNITS_NS[unit], zero), sentence

    def _zero(self, unit_ns: int, settings: RecordingConfig) -> tuple[Zero, str]:
        absolute = self._is_absolute(unit_ns)
        if settings.time_reference == "absolute":
            return "epoch", "absolute (configured)"
        if settings.time_reference == "header_end":
            return "last", "header stamp at the last point (configured)"
        if settings.time_reference == "header_start":
            return ("first" if absolute else "header"), "header stamp at the scan's start (configured)"
        first_ns = np.median([_difference(v, h, unit_ns) for v, h in zip(self.low, self.header_ns, strict=True)])
        last_ns = first_ns + self.span * unit_ns
        if not absolute:
            low_ns, high_ns = float(np.median(self.low)) * unit_ns, float(np.median(self.high)) * unit_ns
            if max(-low_ns, high_ns) > MAX_OFFSET_NS:
                return "first", "counted from an unknown instant: the first point is put at the header stamp"
            return "header", f"relative to the header stamp, {_place(low_ns, high_ns)}"
        if max(abs(first_ns), abs(last_ns)) <= max(3 * self.period_ns, MAX_OFFSET_NS / 2):
            return "epoch", f"absolute, {_place(first_ns, last_ns)}"
        return "first", (
            f"absolute on a clock {first_ns / 1e9:+.3f} s from the header's: the first point is put at the header stamp"
        )

    def _is_absolute(self, unit_ns: int) -> bool:
        """Do the values advance with the header stamps, or (one scan) are they past any sweep?"""
        header_step = float(self.header_ns[-1] - self.header_ns[0])
        if header_step > 0.5 * self.period_ns:
            step = float(self.low[-1] - self.low[0]) * unit_ns
            return 0.5 * header_step <= step <= 2.0 * header_step
        return abs(float(np.median(self.low))) * unit_ns > max(3 * self.period_ns, MAX_OFFSET_NS)


def _place(first_ns: float, last_ns: float) -> str:
    """Where in the sweep the header stamp lies."""
    tolerance = 0.1 * (last_ns - first_ns)
    if abs(first_ns) <= tolerance:
        return "which is at the scan's start"
    if abs(last_ns) <= tolerance:
        return "which is at the scan's end"
    if first_ns < 0 < last_ns:
        return f"which is {-first_ns / 1e6:.1f} ms after the scan's start"
    return f"with points {first_ns / 1e6:+.1f} to {last_ns / 1e6:+.1f} ms from it"


@np.errstate(invalid="ignore", over="ignore")
def real_returns(points: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(N,) points that are finite and not at the origin."""
    reach = np.abs(points).sum(axis=1)
    return np.isfinite(reach) & (reach > 0)


def _finite(values: NDArray) -> NDArray:
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values


def _scaled(values: NDArray, unit_ns: int) -> NDArray[np.int64]:
    if values.dtype.kind in "iu":
        return values.astype(np.int64) * unit_ns
    scaled = values.astype(np.float64)
    np.nan_to_num(scaled, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return np.rint(np.clip(scaled * unit_ns, -4e18, 4e18)).astype(np.int64)


def _since(values: NDArray, header_ns: int, unit_ns: int) -> NDArray[np.int64]:
    """Nanoseconds since the header stamp; the whole units are subtracted before scaling, to lose no digits."""
    whole, rest_ns = divmod(header_ns, unit_ns)
    if values.dtype.kind in "iu" or unit_ns == 1:
        exact = values if values.dtype.kind in "iu" else np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        since = exact.astype(np.int64) - whole
        return np.clip(since, -(4 * 10**18) // unit_ns, 4 * 10**18 // unit_ns) * unit_ns - rest_ns
    return _scaled(values.astype(np.float64) - float(whole), unit_ns) - rest_ns


def _difference(value: float, header_ns: int, unit_ns: int) -> float:
    whole, rest_ns = divmod(int(header_ns), unit_ns)
    return (value - whole) * unit_ns - rest_ns
