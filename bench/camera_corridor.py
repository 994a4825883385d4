# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A corridor of 400 m with pictures on smooth walls, and a LiDAR that sees 40 m of it: with camera and without."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from bench.city import against_truth
from bench.drives import LONG_M, SEEDS, SHORT_RANGE_M, bags
from bench.held_out import SCALE
from bench.rows import Report
from slam.gaussian_map.mapping_config import MappingConfig
from slam.io import open_recording
from slam.replay import replay
from slam.results import State

FARTHEST_M, SHARE = 0.15, 0.2


@dataclass(frozen=True, slots=True)
class Ride:
    """One replay of the corridor; drift_m is of the end against the start."""

    ate_m: float
    drift_m: float
    scans: int
    degraded: int
    lost: int
    used: int


def main() -> None:
    report = Report("camera_corridor")
    recorded = bags("corridor_seen", SEEDS)
    work = [(path, camera) for camera in (True, False) for path in recorded.values()]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        rides = list(pool.map(_ride, *zip(*work, strict=True)))
    seen, blind = rides[: len(recorded)], rides[len(recorded) :]
    _rows(report, seen, blind)
    _table(report, dict(zip(recorded, zip(seen, blind, strict=True), strict=True)))
    report.note(
        f"Walls, floor and ceiling are planes: for {LONG_M - 2 * SHORT_RANGE_M:.0f} of {LONG_M:.0f} m the LiDAR says "
        "nothing about the way along them. Pictures of 640 x 480 at 10 Hz, all of them used."
    )
    report.save()


def _ride(path: Path, camera: bool) -> Ride:
    recording = open_recording(path)
    truth = recording.ground_truth()
    assert truth is not None
    used: list[bool] = []
    result = replay(
        recording,
        mapping=MappingConfig(scale=SCALE) if camera else None,
        on_result=lambda scan: used.append(scan.camera == "used"),
    )
    found = against_truth(result, truth)
    states = [scan.health.state for scan in result.results]
    return Ride(
        found.ate_m.rmse, found.drift.translation_m, len(states), states.count(State.DEGRADED),
        states.count(State.LOST), sum(used),
    )  # fmt: skip


def _rows(report: Report, seen: list[Ride], blind: list[Ride]) -> None:
    seeds = ", ".join(map(str, SEEDS))
    report.row(
        f"ATE with camera, seeds {seeds}", f"at most {FARTHEST_M:g} m", _listed([ride.ate_m for ride in seen]),
        max(ride.ate_m for ride in seen) <= FARTHEST_M,
    )  # fmt: skip
    report.row(
        "ATE with camera against LiDAR and IMU alone", "at most a fifth",
        ", ".join(f"{a.ate_m:.3f} / {b.ate_m:.3f} m" for a, b in zip(seen, blind, strict=True)),
        all(a.ate_m <= SHARE * b.ate_m for a, b in zip(seen, blind, strict=True)),
    )  # fmt: skip
    report.row(
        "scans without the camera called degraded", "most of them",
        ", ".join(f"{ride.degraded} of {ride.scans}" for ride in blind),
        all(2 * ride.degraded > ride.scans for ride in blind),
    )  # fmt: skip


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values) + " m"


def _table(report: Report, rides: dict[int, tuple[Ride, Ride]]) -> None:
    columns = ["seed", "", "ATE, m", "end against start, m", "degraded", "lost", "scans with a picture used"]
    rows = [
        [
            seed, name, f"{ride.ate_m:.3f}", f"{ride.drift_m:.3f}", ride.degraded, ride.lost,
            f"{ride.used} of {ride.scans}",
        ]
        for seed, pair in rides.items()
        for name, ride in zip(("with camera", "without"), pair, strict=True)
    ]  # fmt: skip
    report.table("Corridor with murals", columns, rows)


if __name__ == "__main__":
    main()
