# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Faults of messages, clocks and sensors: what is said about them, and what the trajectory is worth afterwards."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from bench.drives import SEEDS, bags
from bench.rows import Report
from sim_envs.city.drive import START_NS
from sim_envs.city.faults import Fault, fault_filter
from sim_envs.city.stream_faults import HOUR_NS, fault_matrix
from sim_envs.city.streams import Filter
from slam.io import open_recording
from slam.io.recording import Recording
from slam.measurements import Measurement, Scan
from slam.metrics import evaluate
from slam.replay import ReplayResult, replay
from slam.results import State
from slam.trajectory import Trajectory

NOMINAL = "nominal"
FLOOR_M = 0.05
BAR = "no exception, a line a scan, ATE at most max(2 x nominal, 0.05 m), the log says it"
FEWEST_POSES = 10
"""A segment with fewer poses is not aligned by itself."""
SENSOR_FAULTS = (
    "imu:off:10:12", "imu:stuck:10:12", "imu:garbage:10:12", "imu:wrong:10:14", "imu:slow:10:20", "imu:delayed:10:14",
    "imu:intermittent:10:14", "imu:clock_offset:10:14", "lidar:off:10:12", "lidar:stuck:10:11", "lidar:garbage:10:11",
    "lidar:wrong:10:11", "lidar:slow:10:14", "lidar:delayed:10:14", "lidar:intermittent:10:14", "lidar:rain:10:20",
)  # fmt: skip
"""Sensor, kind, from second, to second: beyond what a bar asks for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One replay with a fault.

    Attributes:
        ate_m: of its worst segment, NaN where none is long enough or it raised.
        messages: scans sent, those sent twice counted twice.
        lines: of these, how many have a pose.
        raised: the exception that reached the user.
        said: sentences of the log.
    """

    fault: str
    seed: int
    ate_m: float = float("nan")
    segments: int = 0
    messages: int = 0
    lines: int = 0
    degraded: int = 0
    lost: int = 0
    raised: str = ""
    said: list[str] = field(default_factory=list)


class Filtered:
    """A recording seen through a fault; keeps the stamps of the scans that still come, one for each message."""

    def __init__(self, recording: Recording, change: Filter) -> None:
        self.name, self.notes = recording.name, recording.notes
        self.calibration, self.scan_count = recording.calibration, recording.scan_count
        self.stamps: list[int] = []
        self._recording, self._change = recording, change

    def measurements(self, *, images: bool = False) -> Iterator[Measurement]:
        for measurement in self._change(self._recording.measurements(images=images)):
            if isinstance(measurement, Scan):
                self.stamps.append(measurement.stamp_ns)
            yield measurement

    def ground_truth(self) -> Trajectory | None:
        return self._recording.ground_truth()


def filters(seed: int) -> dict[str, Filter]:
    """Every fault by name, none first."""
    sensors = {text: fault_filter(_parsed(text), START_NS, seed) for text in SENSOR_FAULTS}
    return {NOMINAL: iter, **fault_matrix(START_NS, seed=seed), **sensors}


def _parsed(text: str) -> Fault:
    sensor, kind, start, end = text.split(":")
    return Fault(sensor, kind, float(start), float(end))


def main() -> None:
    report = Report("faults")
    names = list(filters(SEEDS[0]))
    work = list(product(bags("city", SEEDS).items(), names))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(_outcome, *zip(*((seed, path, name) for (seed, path), name in work), strict=True)))
    found = _without_usual_sentences(found)
    nominal = {outcome.seed: outcome.ate_m for outcome in found if outcome.fault == NOMINAL}
    judged = {name: [outcome for outcome in found if outcome.fault == name] for name in names if name != NOMINAL}
    for name in fault_matrix(START_NS):
        _row(report, name, judged[name], nominal)
    told = ", ".join(f"{ate:.3f}" for ate in nominal.values())
    report.note(f"Nominal ATE of seeds {', '.join(map(str, nominal))}: {told} m. Of several segments the worst counts.")
    _table(report, judged, nominal)
    report.save()


def _without_usual_sentences(found: list[Outcome]) -> list[Outcome]:
    """What a nominal run says as well tells nothing about a fault."""
    usual = {outcome.seed: outcome.said for outcome in found if outcome.fault == NOMINAL}
    return [
        replace(outcome, said=[sentence for sentence in outcome.said if sentence not in usual[outcome.seed]])
        for outcome in found
    ]


def _outcome(seed: int, path: Path, name: str) -> Outcome:
    recording = open_recording(path)
    print(f"seed {seed}: {name}", flush=True)
    faulty = Filtered(recording, filters(seed)[name])
    try:
        result = replay(faulty)
    except Exception as error:  # the row says so: no exception may reach the user
        traceback.print_exc()
        return Outcome(name, seed, raised=f"{type(error).__name__}: {error}")
    states = [scan.health.state for scan in result.results]
    ates = [ate for ate in _ate_of_segments(result, recording.ground_truth()) if ate is not None]
    return Outcome(
        name, seed, max(ates, default=float("nan")), len({scan.segment for scan in result.results}), len(faulty.stamps),
        sum((Counter(faulty.stamps) & Counter(scan.stamp_ns for scan in result.results)).values()),
        states.count(State.DEGRADED), states.count(State.LOST), "", _sentences(result.log),
    )  # fmt: skip


def _ate_of_segments(result: ReplayResult, truth: Trajectory) -> Iterator[float | None]:
    """Each segment against the truth at the times that its scans really had."""
    way = result.base_trajectory()
    hours = np.rint((way.stamps_ns - truth.stamps_ns[0]) / HOUR_NS).astype(np.int64)
    stamps = np.clip(way.stamps_ns - hours * HOUR_NS, truth.stamps_ns[0], truth.stamps_ns[-1])
    segment = np.array([scan.segment for scan in result.results])
    for number in np.unique(segment):
        part = np.flatnonzero(segment == number)
        if len(part) >= FEWEST_POSES:
            matched = Trajectory(stamps[part], way.positions[part], way.quaternions[part])
            yield evaluate(matched, truth.at(stamps[part])).ate_m.rmse


def _problems(outcome: Outcome, nominal: dict[int, float]) -> list[str]:
    if outcome.raised:
        return [outcome.raised]
    problems = []
    if not _near(outcome, nominal):
        problems.append(f"ATE {outcome.ate_m:.3f} m on seed {outcome.seed}")
    if outcome.lines != outcome.messages:
        problems.append(f"lines for {outcome.lines} of {outcome.messages} scans on seed {outcome.seed}")
    if not outcome.said:
        problems.append(f"the log is silent on seed {outcome.seed}")
    return problems


def _near(outcome: Outcome, nominal: dict[int, float]) -> bool:
    return outcome.ate_m <= max(2.0 * nominal[outcome.seed], FLOOR_M)


def _sentences(log: list[str]) -> list[str]:
    """Without their stamps."""
    return [line.split(" s: ", 1)[-1] for line in log]


def _row(report: Report, name: str, outcomes: list[Outcome], nominal: dict[int, float]) -> None:
    problems = [problem for outcome in outcomes for problem in _problems(outcome, nominal)]
    measured = f"{_ates(outcomes)} m" + (f"; {'; '.join(problems)}" if problems else "")
    report.row(name, BAR, measured, not problems)


def _ates(outcomes: list[Outcome]) -> str:
    return ", ".join(f"{outcome.ate_m:.3f}" for outcome in outcomes)


def _table(report: Report, judged: dict[str, list[Outcome]], nominal: dict[int, float]) -> None:
    rows = []
    for name, outcomes in judged.items():
        worst = max(outcomes, key=lambda outcome: outcome.ate_m if np.isfinite(outcome.ate_m) else np.inf)
        near = sum(_near(outcome, nominal) for outcome in outcomes)
        rows.append([
            name, _ates(outcomes), f"{near} of {len(outcomes)}",
            ", ".join(str(outcome.segments) for outcome in outcomes),
            ", ".join(f"{outcome.degraded}/{outcome.lost}" for outcome in outcomes), _excerpt(worst.said),
        ])  # fmt: skip
    columns = ["fault", "ATE, m", "seeds within the ATE bar", "segments", "degraded/lost scans", "what the log says"]
    report.table(
        f"Faults, seeds {', '.join(map(str, nominal))}; those named sensor:kind:from:to are beyond the bar",
        columns,
        rows,
    )


def _excerpt(said: list[str], lines: int = 2) -> str:
    more = f" (and {len(said) - lines} more)" if len(said) > lines else ""
    return "; ".join(said[:lines]) + more if said else "nothing"


if __name__ == "__main__":
    main()
