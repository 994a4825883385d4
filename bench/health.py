# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A corridor without features along it, and a kidnapped vehicle: how soon the odometry says so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.drives import KIDNAPPED_AT_S, SEEDS, bags
from bench.rows import Report
from sim_envs.city import CorridorConfig, LidarConfig
from slam.io import open_recording
from slam.replay import replay
from slam.results import ScanResult, State
from slam.trajectory import Trajectory

WITHIN_SCANS = 5
WITHIN_DEG = 10.0


@dataclass(frozen=True, slots=True)
class Corridor:
    """One ride through the corridor.

    Attributes:
        blind: (N,) of each scan, whether its whole sweep sees neither end.
        degraded: (N,) of each scan.
        axis_deg: (K,) angle between the one axis named and the corridor, of degraded scans while blind.
        other_axes: degraded scans while blind that name no axis or several.
        lost: scans called lost anywhere.
    """

    blind: NDArray[np.bool_]
    degraded: NDArray[np.bool_]
    axis_deg: NDArray[np.float64]
    other_axes: int
    lost: int

    @property
    def delay(self) -> int | None:
        """Scans from the first blind one to the first degraded one from then on; None for never."""
        first = int(np.argmax(self.blind))
        later = np.flatnonzero(self.degraded[first:])
        return int(later[0]) if len(later) else None

    @property
    def early(self) -> int:
        """Degraded scans before the first blind one: an end is still seen there, if by few points."""
        return int(self.degraded[: int(np.argmax(self.blind))].sum())

    @property
    def median_deg(self) -> str:
        """Of the angles, as text."""
        return f"{np.median(self.axis_deg):.2f}" if len(self.axis_deg) else "-"

    @property
    def missed(self) -> int:
        """Blind scans called ok."""
        return int((self.blind & ~self.degraded).sum())


def main() -> None:
    report = Report("health")
    corridors = {seed: _corridor(str(path)) for seed, path in bags("corridor", SEEDS).items()}
    _corridor_rows(report, corridors)
    kidnapped = {seed: _kidnapped(str(path)) for seed, path in bags("kidnap", SEEDS).items()}
    _kidnap_rows(report, kidnapped)
    report.note("False alarms on nominal runs are counted in the topics city and kitti_accuracy.")
    report.save()


def _corridor(path: str) -> Corridor:
    recording = open_recording(path)
    truth = recording.ground_truth()
    results = replay(recording).results
    period = LidarConfig().period_ns
    blind = _sees_no_end(recording.calibration.T_base_lidar, truth, results, period)
    axes = [_axes_deg(result, truth) for result, dark in zip(results, blind, strict=True) if dark and _degraded(result)]
    single = np.array([angles[0] for angles in axes if len(angles) == 1])
    lost = sum(result.health.state is State.LOST for result in results)
    return Corridor(blind, np.array([_degraded(r) for r in results]), single, len(axes) - len(single), lost)


def _degraded(result: ScanResult) -> bool:
    return result.health.state is State.DEGRADED


def _sees_no_end(
    T_base_lidar: NDArray[np.float64], truth: Trajectory, results: list[ScanResult], period_ns: int
) -> NDArray[np.bool_]:
    """Both end walls lie beyond the range, at the sweep's start and at its end."""
    half, reach = 0.5 * CorridorConfig().length_m, LidarConfig().max_range_m
    starts = np.array([result.stamp_ns for result in results])
    dark = np.ones(len(results), bool)
    for stamps in (starts, np.minimum(starts + period_ns, truth.stamps_ns[-1])):
        x = (truth.at(stamps).matrices() @ T_base_lidar)[:, 0, 3]
        dark &= (half - x > reach) & (half + x > reach)
    return dark


def _axes_deg(result: ScanResult, truth: Trajectory) -> NDArray[np.float64]:
    """Angles between the axes named, in odom, and the corridor's, which is x of the truth's world."""
    R_world_base = truth.at(result.stamp_ns).matrices()[0, :3, :3]
    along = result.T_odom_base[:3, :3] @ R_world_base.T[:, 0]
    return np.degrees(np.arccos(np.clip(np.abs(result.health.axes @ along), 0.0, 1.0)))


def _corridor_rows(report: Report, corridors: dict[int, Corridor]) -> None:
    delays = [c.delay for c in corridors.values()]
    report.row(
        f"corridor: scans from the first that sees neither end until degraded, seeds {_listed(corridors)}",
        f"within {WITHIN_SCANS}", _listed(delays), all(d is not None and d <= WITHIN_SCANS for d in delays),
    )  # fmt: skip
    angles = [float(c.axis_deg.max()) if len(c.axis_deg) else float("nan") for c in corridors.values()]
    report.row(
        "corridor: largest angle between the axis named and the corridor", f"within {WITHIN_DEG:g} deg",
        ", ".join(f"{angle:.2f}" for angle in angles) + " deg", bool(np.all(np.array(angles) <= WITHIN_DEG)),
    )  # fmt: skip
    columns = [
        "seed", "scans", "blind", "of these called ok", "of these without one clear axis", "median angle, deg",
        "degraded before the first blind one", "degraded after the last", "lost",
    ]  # fmt: skip
    rows = [
        [
            seed, len(c.blind), int(c.blind.sum()), c.missed, c.other_axes, c.median_deg,
            c.early, int(c.degraded[np.flatnonzero(c.blind)[-1] + 1 :].sum()), c.lost,
        ]
        for seed, c in corridors.items()
    ]  # fmt: skip
    report.table("Corridor", columns, rows)


def _kidnapped(path: str) -> tuple[int | None, int, int]:
    """Scans from the kidnapping until lost, scans not ok before it, segments."""
    results = replay(open_recording(path)).results
    at = round(KIDNAPPED_AT_S * LidarConfig().rate_hz)
    lost = [n - at for n, result in enumerate(results) if n >= at and result.health.state is State.LOST]
    before = sum(result.health.state is not State.OK for result in results[:at])
    return (lost[0] if lost else None), before, len({result.segment for result in results})


def _kidnap_rows(report: Report, found: dict[int, tuple[int | None, int, int]]) -> None:
    delays, before, segments = zip(*found.values(), strict=True)
    report.row(
        f"kidnapping by 4 m and 86 deg: scans until lost, seeds {_listed(found)}", f"within {WITHIN_SCANS}",
        _listed(delays), all(d is not None and d <= WITHIN_SCANS for d in delays),
    )  # fmt: skip
    report.row("kidnapping: scans called degraded or lost before it", "0", _listed(before), not any(before))
    report.row("kidnapping: a new segment begins", "2 segments", _listed(segments), all(n == 2 for n in segments))


def _listed(values) -> str:
    return ", ".join("never" if value is None else str(value) for value in values)


if __name__ == "__main__":
    main()
