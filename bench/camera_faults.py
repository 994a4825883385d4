# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras that go black or white, freeze, are late or covered: the pose is as good as without one, and the log says it.

In the city the LiDAR holds the pose, and a bad picture must not pull it away.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from multiprocessing import get_context
from pathlib import Path

from bench.city import against_truth
from bench.drives import bags
from bench.faults import Filtered
from bench.held_out import SCALE
from bench.rows import Report
from sim_envs.city.drive import START_NS
from sim_envs.city.faults import Fault, fault_filter
from slam.gaussian_map.mapping_config import MappingConfig
from slam.io import open_recording
from slam.replay import replay

NO_CAMERA, NOMINAL = "no camera", "camera in order"
FROM_S, DURATION_S = 8.0, 20.0
FAULTS = {
    "black": Fault("camera", "black", FROM_S),
    "white": Fault("camera", "white", FROM_S),
    "frozen": Fault("camera", "stuck", FROM_S),
    "stamped half a second late": Fault("camera", "clock_offset", 0.0, amount=0.5),
    "half covered": Fault("camera", "covered", FROM_S),
}
DRIVES = (("city_seen", 1),)
SLACK, FLOOR_M = 1.2, 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """One replay; ``said`` are the sentences of the log on the camera."""

    ate_m: float
    scans: int
    used: int
    said: list[str] = field(default_factory=list)


def main() -> None:
    report = Report("camera_faults")
    cases = [NO_CAMERA, NOMINAL, *FAULTS]
    work = list(product(DRIVES, cases))
    paths = {(kind, seed): bags(kind, [seed])[seed] for kind, seed in DRIVES}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(_outcome, [paths[drive] for drive, _ in work], [case for _, case in work]))
    outcomes = {(drive, case): outcome for (drive, case), outcome in zip(work, found, strict=True)}
    for fault in FAULTS:
        _row(report, fault, outcomes)
    for drive in DRIVES:
        _table(report, f"{drive[0]}, seed {drive[1]}", {case: outcomes[drive, case] for case in cases})
    report.note(
        f"The first {DURATION_S:g} s of each drive; black, white, frozen and covered from {FROM_S:g} s on, wrong "
        "stamps from the start. Pictures that are refused do not go into the map."
    )
    report.save()


def _outcome(path: Path, case: str) -> Outcome:
    print(f"{path.name}: {case}", flush=True)
    recording = open_recording(path)
    truth = recording.ground_truth()
    assert truth is not None
    if case in FAULTS:
        recording = Filtered(recording, fault_filter(FAULTS[case], START_NS))
    used: list[bool] = []
    result = replay(
        recording,
        mapping=None if case == NO_CAMERA else MappingConfig(scale=SCALE),
        duration_s=DURATION_S,
        on_result=lambda scan: used.append(scan.camera == "used"),
    )
    said = [line.split(" s: ", 1)[-1] for line in result.log if "camera" in line or "picture" in line]
    return Outcome(against_truth(result, truth).ate_m.rmse, len(result.results), sum(used), said)


def _row(report: Report, fault: str, outcomes: dict[tuple[tuple[str, int], str], Outcome]) -> None:
    problems, told = [], []
    for drive in DRIVES:
        alone, nominal, faulty = (outcomes[drive, case] for case in (NO_CAMERA, NOMINAL, fault))
        told.append(f"{faulty.ate_m:.3f} / {alone.ate_m:.3f} m")
        if faulty.ate_m > max(SLACK * alone.ate_m, FLOOR_M):
            problems.append(f"seed {drive[1]} is worse than its bar")
        if not set(faulty.said) - set(nominal.said):
            problems.append(f"the log of seed {drive[1]} is silent")
    report.row(
        f"camera {fault}: ATE / without a camera",
        f"at most max({SLACK:g} x without, {FLOOR_M:g} m), and the log says it",
        "; ".join([", ".join(told), *problems]),
        not problems,
    )


def _table(report: Report, name: str, outcomes: dict[str, Outcome]) -> None:
    rows = []
    for case, outcome in outcomes.items():
        news = [sentence for sentence in outcome.said if sentence not in outcomes[NOMINAL].said]
        said = news[0] + (f" (and {len(news) - 1} more)" if len(news) > 1 else "") if news else ""
        rows.append([case, f"{outcome.ate_m:.3f}", f"{outcome.used} of {outcome.scans}", said])
    report.table(name, ["camera", "ATE, m", "scans with a picture used", "what the log says"], rows)


if __name__ == "__main__":
    main()
