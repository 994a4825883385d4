# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""An hour round a loop: resident memory, and whether the pose is still right.

The loop of seed 1 begins and ends at rest at one place, so its laps join without a step: they come restamped, one after
the other, through the same sequencer and odometry that a replay uses. Results are judged and dropped, as a robot
would: what a replay keeps of each scan is counted apart.
"""

from __future__ import annotations

import os
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bench.drives import bags
from bench.rows import Report
from slam.io import open_recording
from slam.io.recording import Recording
from slam.measurements import ImuSample, Measurement, Scan
from slam.metrics import align
from slam.odometry import Odometry
from slam.result_log import ResultLog
from slam.results import ScanResult
from slam.sequencer import Sequencer, SequencerConfig
from slam.trajectory import Trajectory

SCANS = 36_000
SAMPLE_EVERY = 100
WARM_UP_LAPS = 3
SEED = 1
PERIOD_NS = 100_000_000


@dataclass(slots=True)
class Watch:
    """What is seen while the laps go by, every ``SAMPLE_EVERY`` scans."""

    truth: Trajectory
    lap_ns: int
    memory_mb: list[float] = field(default_factory=list)
    voxels: list[int] = field(default_factory=list)
    positions: list[NDArray[np.float64]] = field(default_factory=list)
    true: list[NDArray[np.float64]] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    segments: int = 1
    last: ScanResult | None = None

    @property
    def lap_samples(self) -> int:
        """Samples in a lap."""
        return self.lap_ns // PERIOD_NS // SAMPLE_EVERY

    def see(self, number: int, result: ScanResult, odometry: Odometry) -> None:
        """Take notice of one scan."""
        self.states[result.health.state.value] += 1
        self.segments, self.last = result.segment + 1, result
        if number % SAMPLE_EVERY:
            return
        since = result.stamp_ns - self.truth.stamps_ns[0]
        self.memory_mb.append(resident_mb())
        self.voxels.append(len(odometry.map))
        self.positions.append(result.T_odom_base[:3, 3])
        self.true.append(self.truth.at(self.truth.stamps_ns[0] + since % self.lap_ns).positions[0])

    def errors_m(self) -> NDArray[np.float64]:
        """Position error of each sample, with the alignment that the first laps alone give."""
        found, true = np.array(self.positions), np.array(self.true)
        first = slice(0, WARM_UP_LAPS * self.lap_samples)
        T = align(found[first], true[first])
        return np.linalg.norm(found @ T[:3, :3].T + T[:3, 3] - true, axis=1)


def main() -> None:
    report = Report("soak")
    watch, scans = _drive(open_recording(bags("small", (SEED,))[SEED]))
    after = WARM_UP_LAPS * watch.lap_samples
    thousands = np.arange(len(watch.memory_mb)) * SAMPLE_EVERY * 1e-3
    slope = float(np.polyfit(thousands[after:], watch.memory_mb[after:], 1)[0])
    what = f"resident memory over {scans} scans: slope after {WARM_UP_LAPS} laps"
    report.row(what, "under 1 MB in 1,000 scans", f"{slope:.3f} MB", slope < 1.0)
    kept = _kept_mb(watch)
    what = "the same as `replay` runs it, which keeps every result until it ends"
    report.row(
        what, "under 1 MB in 1,000 scans", f"{slope + kept:.2f} MB, {kept:.2f} of it results", slope + kept < 1.0
    )
    errors = watch.errors_m()
    last = float(errors[-watch.lap_samples :].max())
    report.row(f"largest position error in the last lap, aligned by the first {WARM_UP_LAPS} laps", "", f"{last:.3f} m")
    told = ", ".join(f"{count} {state}" for state, count in watch.states.items())
    report.row("health of all scans", "", f"{told}; {watch.segments} segment(s)")
    _table(report, watch, errors)
    report.save()


def _table(report: Report, watch: Watch, errors: NDArray[np.float64]) -> None:
    marks = np.linspace(0, len(errors) - 1, 10).astype(int)
    rows = [[n * SAMPLE_EVERY, f"{watch.memory_mb[n]:.1f}", watch.voxels[n], f"{errors[n]:.3f}"] for n in marks]
    laps = len(errors) / watch.lap_samples
    columns = ["scan", "resident, MB", "voxels", "position error, m"]
    report.table(f"{laps:.0f} laps of the loop of seed {SEED}, 16 x 360 rays a scan, with IMU", columns, rows)


def _kept_mb(watch: Watch, copies: int = 36_000) -> float:
    """Megabytes that a replay keeps of 1,000 results."""
    tracemalloc.start()
    kept = ResultLog()
    for _ in range(copies):
        kept.append(watch.last)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken * 1e-6 * 1000 / len(kept)


def _drive(recording: Recording) -> tuple[Watch, int]:
    odometry = Odometry(calibration=recording.calibration)
    sequencer = Sequencer(SequencerConfig(expect_imu=True))
    truth = recording.ground_truth()
    assert truth is not None
    lap = list(recording.measurements())
    watch = Watch(truth, sum(isinstance(item, Scan) for item in lap) * PERIOD_NS)
    number = 0
    for measurement in _laps(lap, watch.lap_ns):
        for bundle in sequencer.push(measurement):
            watch.see(number, odometry.register(bundle), odometry)
            number += 1
        if number >= SCANS:
            break
    return watch, number


def _laps(lap: list[Measurement], lap_ns: int) -> Iterator[Measurement]:
    start = min(item.stamp_ns for item in lap)
    once = [item for item in lap if item.stamp_ns < start + lap_ns and isinstance(item, (Scan, ImuSample))]
    shift = 0
    while True:
        for item in once:
            yield replace(item, stamp_ns=item.stamp_ns + shift)
        shift += lap_ns


def resident_mb() -> float:
    """Memory of this process, now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
