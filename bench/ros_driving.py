# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Written directions followed by the nodes of ``mem4nav up sim`` over DDS, in ten towns, on perception alone.

A run that was broken off goes on with the town after the last; ``python -m bench.ros_driving 0 1`` drives two of them.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.closed_loop import drift_m, middle_of
from bench.places import OUT
from bench.resuming import digest_of, measured
from bench.ros_runs import company
from bench.rows import Report

if TYPE_CHECKING:
    from ros_processes import Company

SEEDS = range(10)
RATE = 0.5
"""Simulated over wall time: on two cores the town takes most of one, and perception is to see every scan."""
LEAST_SUCCESSES, LONGEST_MIN = 7, 10.0
_OVER = ("arrived", "failed")
_SOURCES = ("slam/**/*.py", "detection/*.py", "mem4nav/driving/*.py", "nodes/*.py", "sim_envs/city/**/*.py")
"""What a drive hangs on: one that was driven with the same is not driven again."""
_STARTS_S, _ENDS_S = 120.0, 900.0
_ROLL_OUT = 20
_COLUMNS = [
    "seed",
    "way",
    "turns",
    "ended",
    "succeeded",
    "off along",
    "simulated",
    "wall",
    "odom, detections of a scan",
    "drift",
    "reason",
]


@dataclass(frozen=True, slots=True)
class NodesDrive:
    """How one route went.

    Attributes:
        seed: of the task.
        length_m, turns: of the route.
        state, reason: the navigator's last word.
        succeeded: it said that it had arrived, and the vehicle stands abreast of the goal within 3 m.
        along_m: from the goal, along its street, when it stood.
        simulated_s, wall_s: from the directions being taken to the last word, in the town and here.
        started_s: from ``mem4nav up`` to the directions being taken.
        posed, looked_at: shares of the scans with an odom, and with detections.
        drift_m: error of the odometry's position at the end.
        spies: who heard the ground truth besides the judge.
        code: exit code after Ctrl-C.
    """

    seed: int
    length_m: float
    turns: int
    state: str
    reason: str
    succeeded: bool
    along_m: float
    simulated_s: float
    wall_s: float
    started_s: float
    posed: float
    looked_at: float
    drift_m: float
    spies: int
    code: int


def main() -> None:
    report = Report("ros_driving")
    if importlib.util.find_spec("rclpy") is None:
        report.skip("routes driven over DDS", "rclpy is not here: pip install 'mem4nav[ros]'")
        return report.save()
    key, drives = digest_of(_SOURCES, RATE), []
    for seed in [int(word) for word in sys.argv[1:]] or SEEDS:
        found = measured(OUT / "ros_driving" / f"{seed}.json", key, partial(_driven, seed))
        drives.append(NodesDrive(**found))
        print(_row(drives[-1]), flush=True)
    report.began = time.monotonic() - sum(one.started_s + one.wall_s for one in drives)  # also those of runs before
    _bars(report, drives)
    report.table("Routes of 150 to 400 m with two turns or more; LiDAR and IMU alone", _COLUMNS, [*map(_row, drives)])
    report.note(
        f"Simulator, odometry, detection, memory, navigator and instructor are a process each, at {RATE:g}x. "
        "A route succeeds where the navigator says that it has arrived and the vehicle stands abreast of the goal "
        "within 3 m, on the goal's street. Of every scan there should be one odom and one message of detections; the "
        "detector leaves out what it has no time for."
    )
    report.save()


def _driven(seed: int) -> dict[str, Any]:
    return asdict(drive(seed))


class _Ride:
    """What is heard of one drive."""

    def __init__(self, together: Company) -> None:
        from nav_msgs.msg import Odometry
        from std_msgs.msg import String
        from vision_msgs.msg import Detection3DArray

        from ros_processes import LATCHED

        self._together, self._said = together, together.hear(String, "navigator_status", LATCHED)
        self.truth, self.poses = together.hear(Odometry, "ground_truth/odom"), together.hear(Odometry, "odom")
        self.detections = together.hear(Detection3DArray, "detections")

    @property
    def state(self) -> dict[str, str]:
        """The navigator's last word."""
        return json.loads(self._said[-1].data) if self._said else {"state": "idle", "reason": ""}

    def until(self, condition: Callable[[], Any], patience_s: float) -> tuple[float, float]:
        """Wall time and the town's time when it was so, or when patience was over."""
        from nodes.messages import stamp_ns

        with suppress(AssertionError):
            self._together.until(condition, patience_s=patience_s)
        return time.monotonic(), 1e-9 * stamp_ns(self.truth[-1].header)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Scans, poses and detections so far; the truth is told once a scan."""
        return np.array([len(self.truth), len(self.poses), len(self.detections)])

    def is_over(self) -> bool:
        return self.state["state"] in _OVER or bool(self.state["reason"])


def drive(seed: int) -> NodesDrive:
    """Start all nodes in the town of a task, and judge by the truth where its directions led."""
    from ros_processes import Up

    with company() as together, tempfile.TemporaryDirectory() as folder:
        ride, began_s = _Ride(together), time.monotonic()
        with Up(Path(folder) / "up.log", "sim", f"task:={seed}", f"realtime_factor:={RATE}") as up:
            taken = ride.until(lambda: ride.state["state"] != "idle" and ride.truth, _STARTS_S)
            before = ride.counts
            over = ride.until(ride.is_over, _ENDS_S)
            last, heard = ride.state, ride.counts
            ride.until(lambda: len(ride.truth) > heard[0] + _ROLL_OUT, _STARTS_S)
            spies = together.node.count_subscribers("ground_truth/odom") - 1
            up.process.send_signal(signal.SIGINT)
            code = up.process.wait(_STARTS_S)
            if code:
                print(up.said, flush=True)
    scans, *answered = heard - before
    spans = over[1] - taken[1], over[0] - taken[0], taken[0] - began_s
    return _judged(seed, last, ride, (*spans, *(count / scans for count in answered)), spies, code)


def _judged(
    seed: int, last: dict[str, str], ride: _Ride, measured: tuple[float, ...], spies: int, code: int
) -> NodesDrive:
    from nodes.messages import matrix
    from sim_envs.city.navigation.drivable import make_drivable_task

    task = make_drivable_task(seed)
    T_odom_base, T_map_base = (matrix(heard[-1].pose.pose) for heard in (ride.poses, ride.truth))
    middle = middle_of(T_map_base)
    succeeded = last["state"] == "arrived" and task.is_reached(middle)
    return NodesDrive(
        seed, task.length_m, task.turns, last["state"], last["reason"], succeeded, task.misses_m(middle)[0], *measured,
        drift_m(task, T_odom_base, T_map_base), spies, code,
    )  # fmt: skip


def _bars(report: Report, drives: list[NodesDrive]) -> None:
    count = len(drives)
    ended = sum(one.state in _OVER and one.simulated_s <= 60.0 * LONGEST_MIN for one in drives)
    report.row("routes that end within ten minutes, arrived or with a reason", f"{count} of {count}", str(ended),
               ended == count)  # fmt: skip
    arrived = [one for one in drives if one.succeeded]
    report.row(
        "routes that end at their goal", f"at least {LEAST_SUCCESSES} of {len(SEEDS)}", f"{len(arrived)} of {count}",
        len(arrived) >= LEAST_SUCCESSES if count == len(SEEDS) else None,
    )  # fmt: skip
    away = f"{max((one.along_m for one in arrived), default=np.nan):.1f} m"
    report.row("farthest of these from the goal, along its street", "", away)
    report.at_most("longest route, simulated", max(one.simulated_s for one in drives) / 60.0, LONGEST_MIN, "min", 1)
    spies = max(one.spies for one in drives)
    report.row("nodes of the stack that hear the ground truth", "none", str(spies), spies == 0)
    codes = [one.code for one in drives]
    report.row("exit codes after Ctrl-C", "0", ", ".join(map(str, sorted(set(codes)))), not any(codes))
    pace = [one.wall_s / one.simulated_s for one in drives]
    report.row("wall time over simulated time, median and most", "", f"{np.median(pace):.2f}, {max(pace):.2f}")
    begun = [one.started_s for one in drives]
    report.row(
        "from mem4nav up to the directions being taken, median and most", "",
        f"{np.median(begun):.0f} s, {max(begun):.0f} s",
    )  # fmt: skip


def _row(one: NodesDrive) -> list[str]:
    return [
        str(one.seed), f"{one.length_m:.0f} m", str(one.turns), one.state, "yes" if one.succeeded else "no",
        f"{one.along_m:.1f} m", f"{one.simulated_s:.0f} s", f"{one.wall_s:.0f} s",
        f"{100 * one.posed:.0f} %, {100 * one.looked_at:.0f} %", f"{one.drift_m:.2f} m", one.reason,
    ]  # fmt: skip


if __name__ == "__main__":
    main()
