# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Stamps: rates, gaps, repeats, steps back, jumps, and clocks that differ between sensors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from slam.inspection.report import Finding, Severity, StreamStatistics

SECOND = 1e9
JUMP_S = 10.0
SLOW_HZ = {"Imu": 50.0, "PointCloud2": 4.0, "CustomMsg": 4.0}
SENSORS = ("PointCloud2", "CustomMsg", "Imu", "Image", "CompressedImage")
CLOCK_WARN_MS, CLOCK_BAD_MS = 250.0, 1000.0
DRIFT_WARN_MS = 50.0


def stream_statistics(name: str, kind: str, stamps_ns: ArrayLike, record_ns: ArrayLike = ()) -> StreamStatistics:
    """Statistics of one topic from its (N,) header stamps and (N,) record times (or none), in order of arrival."""
    stamps, record = np.asarray(stamps_ns, np.int64), np.asarray(record_ns, np.int64)
    times = stamps if len(stamps) else record
    if len(times) < 2:
        return StreamStatistics(name, kind, len(times), delay_ms=_delay(stamps, record)[0])
    steps = np.diff(times) / SECOND
    jumps = np.abs(steps) > JUMP_S
    regular = np.where(jumps, 0.0, steps)
    period = float(np.median(regular[regular > 0])) if (regular > 0).any() else 0.0
    gap = int(regular.argmax())
    delay, drift = _delay(stamps, record)
    return StreamStatistics(
        name,
        kind,
        len(times),
        rate_hz=1.0 / period if period else 0.0,
        longest_gap_s=float(regular[gap]),
        gap_at_s=float((times[gap] - times[0]) / SECOND),
        repeats=int((steps == 0).sum()),
        backward=int(((steps < 0) & ~jumps).sum()),
        jumps=int(jumps.sum()),
        jump_s=float(steps[np.abs(steps).argmax()]) if jumps.any() else 0.0,
        delay_ms=delay,
        delay_drift_ms=drift,
    )


def _delay(stamps: np.ndarray, record: np.ndarray) -> tuple[float | None, float]:
    """Median record time minus stamp, and its change from the first to the last tenth, in ms."""
    if not len(stamps) or len(stamps) != len(record):
        return None, 0.0
    delay = (record - stamps) / 1e6
    tenth = max(len(delay) // 10, 1)
    drift = float(np.median(delay[-tenth:]) - np.median(delay[:tenth])) if len(delay) >= 50 else 0.0
    return float(np.median(delay)), drift


def stamp_findings(stream: StreamStatistics) -> list[Finding]:
    """Verdicts on the stamps of one sensor."""
    return [f for f in (_jumps(stream), _disorder(stream), _gaps(stream), _rate(stream)) if f is not None]


def _jumps(s: StreamStatistics) -> Finding | None:
    if not s.jumps:
        return None
    text = f"the stamps jump {s.jumps} time(s), at most by {s.jump_s:+.3f} s"
    remedy = "Wrong single stamps are dropped; after a lasting jump a new segment starts. Check the clock (PTP, NTP)."
    return Finding(Severity.BAD, s.name, text, remedy)


def _disorder(s: StreamStatistics) -> Finding | None:
    if not s.repeats and not s.backward:
        return None
    bad = s.repeats + s.backward > 0.1 * s.count
    text = f"{s.repeats} stamps repeat and {s.backward} go back, of {s.count}"
    remedy = "Repeated ones are dropped, late ones sorted in. Two publishers on one topic, or bags merged twice?"
    return Finding(Severity.BAD if bad else Severity.WARN, s.name, text, remedy)


def _gaps(s: StreamStatistics) -> Finding | None:
    if not s.rate_hz or s.longest_gap_s * s.rate_hz <= 2.5 or (s.kind == "Imu" and s.longest_gap_s < 0.03):
        return None
    text = f"longest gap {s.longest_gap_s:.3f} s, {s.gap_at_s:.1f} s after the start (period {1000 / s.rate_hz:.1f} ms)"
    remedy = "Lost while recording: larger queue, faster disk, fewer topics, or mcap without compression."
    return Finding(Severity.BAD if s.longest_gap_s > 1.0 else Severity.WARN, s.name, text, remedy)


def _rate(s: StreamStatistics) -> Finding | None:
    least = SLOW_HZ.get(s.kind)
    if least is None or s.rate_hz is None:
        return None
    if s.rate_hz < least:
        return Finding(Severity.WARN, s.name, f"only {s.rate_hz:.1f} Hz", f"{least:.0f} Hz or more are wanted.")
    return None


def clock_findings(streams: list[StreamStatistics]) -> list[Finding]:
    """Clocks of the sensors against each other: by how much later than stamped each is recorded."""
    sensors = [s for s in streams if s.kind in SENSORS and s.delay_ms is not None]
    if len(sensors) < 2:
        return []
    reference = min(sensors, key=lambda s: SENSORS.index(s.kind))
    found = [f for s in sensors if s is not reference and (f := _against(s, reference)) is not None]
    found += [_drift(s) for s in sensors if abs(s.delay_drift_ms) > DRIFT_WARN_MS and not s.jumps]
    return found or [Finding(Severity.OK, "clocks", f"all within {CLOCK_WARN_MS:.0f} ms of {reference.name}")]


def _against(s: StreamStatistics, reference: StreamStatistics) -> Finding | None:
    ahead_ms = (reference.delay_ms or 0.0) - (s.delay_ms or 0.0)
    if abs(ahead_ms) <= CLOCK_WARN_MS:
        return None
    side = "ahead of" if ahead_ms > 0 else "behind"
    text = f"its clock is about {abs(ahead_ms) / 1000:.3f} s {side} that of {reference.name}, by the time of recording"
    remedy = "Synchronise the clocks (PTP, or stamp on arrival), or shift the stamps of one topic in the bag."
    return Finding(Severity.BAD if abs(ahead_ms) > CLOCK_BAD_MS else Severity.WARN, s.name, text, remedy)


def _drift(s: StreamStatistics) -> Finding:
    text = f"record time minus stamp changes by {s.delay_drift_ms:+.0f} ms over the recording"
    return Finding(Severity.WARN, s.name, text, "Its clock drifts, or the recorder fell behind: check both.")
