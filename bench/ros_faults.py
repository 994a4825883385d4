# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Faults while the nodes drive: how soon cmd_vel is zero, what /diagnostics says of it, and whether all nodes go on."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.ros_runs import company
from bench.rows import Report

if TYPE_CHECKING:
    from ros_processes import Company
    from ros_town import Town

TRIALS = 3
BAR_S = 0.5
WATCH_S = 3.0
_BACK_S = 100
_FIRST_DRIVE_S = 8.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong while the vehicle drives.

    Attributes:
        what: as the row calls it.
        node, phrase: whose diagnostic has to name it, and how.
        changes: what becomes of messages, by topic, in the trial of a number.
        second: a second publisher repeats the points.
        killed: the odometry is killed instead.
        lasts: what changed stays so: the next trial begins with it.
    """

    what: str
    node: str
    phrase: str
    changes: Callable[[int], Mapping[str, Callable[[Any], Any]]] = lambda _: {}
    second: bool = False
    killed: bool = False
    lasts: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a fault; seconds from its beginning, NaN where that never happened while it was watched.

    Attributes:
        stopped_s: to the first cmd_vel of zero after the last that is not.
        named_s: to the first diagnostic that names it.
        said: that diagnostic.
        ended: nodes that are no more, the one apart that was killed.
    """

    stopped_s: float
    named_s: float
    said: str
    ended: int


def faults() -> tuple[Fault, ...]:
    """All that are tried, in the order of the page; what lasts comes last."""
    from ros_relay import in_frame, kept_back, set_back, without_numbers

    def back(trial: int) -> dict[str, Callable[[Any], Any]]:
        return dict.fromkeys(("points", "imu", "/clock"), partial(set_back, _BACK_S * (trial + 1)))

    strange = partial(in_frame, "roof")
    return (
        Fault("points stop", "odometry", "no scan for", lambda _: {"points": kept_back}),
        Fault("points and IMU stop", "odometry", "no scan for", lambda _: {"points": kept_back, "imu": kept_back}),
        Fault("all points are NaN", "navigator", "no scan with a pose", lambda _: {"points": without_numbers}),
        Fault("points in another frame", "odometry", "points came in frame 'roof'", lambda _: {"points": strange}),
        Fault("the IMU stops", "odometry", "scans without IMU", lambda _: {"imu": kept_back}),
        Fault("the IMU is NaN", "odometry", "NaN", lambda _: {"imu": without_numbers}),
        Fault("the IMU in another frame", "odometry", "imu came in frame 'roof'", lambda _: {"imu": strange}),
        Fault("a second publisher of points", "odometry", "2 publishers on points", second=True),
        Fault("the odometry is killed", "navigator", "no scan with a pose", killed=True),
        Fault("points, IMU and clock jump back by 100 s", "odometry", "the clock went back", back, lasts=True),
    )


def main() -> None:
    report = Report("ros_faults")
    if importlib.util.find_spec("rclpy") is None:
        report.skip("faults over DDS", "rclpy is not here: pip install 'mem4nav[ros]'")
        return report.save()
    found = _trials()
    for what, seen in found.items():
        _row(report, what, seen)
    _uncalibrated(report)
    seen = [one for trials in found.values() for one in trials]
    named = sum(bool(one.said) for one in seen)
    report.row(f"faults that /diagnostics names within {WATCH_S:g} s", "all", f"{named} of {len(seen)}",
               named == len(seen))  # fmt: skip
    report.row("nodes that a fault ended", "none", str(ended := sum(one.ended for one in seen)), ended == 0)
    _memory_killed(report)
    _refusals(report)
    columns = ["fault", "to zero, each trial, s", "named after, each trial, s", "/diagnostics says"]
    report.table("Faults while the vehicle drives at 1x", columns, [_line(*item) for item in found.items()])
    report.note(
        "A time begins with the last message before a silence, or the first that is wrong. '-': not in the three "
        "seconds that a fault is watched. Without an IMU the odometry goes on with a model of constant velocity, and "
        "of two publishers that say the same one is not used; the navigator heeds both as errors."
    )
    report.save()


def _trials() -> dict[str, list[Seen]]:
    """Each fault some times, with pauses in which all is well; in another town where a drive has failed."""
    from ros_relay import Relay
    from ros_town import Town

    left = deque((fault, number) for fault in faults() for number in range(TRIALS))
    seen: dict[str, list[Seen]] = {fault.what: [] for fault, _ in left}
    while left:
        with company() as together:
            relay = Relay(together)
            town, said = Town(together, relay.names), _hear_diagnostics(together)
            while left and _is_under_way(town):
                fault, number = left.popleft()
                seen[fault.what].append(_trial(fault, number, town, relay, said))
                print(fault.what, seen[fault.what][-1], flush=True)
    return seen


def _hear_diagnostics(together: Company) -> list[tuple[float, str, str]]:
    """(arrival, node, sentence) of each."""
    from diagnostic_msgs.msg import DiagnosticArray

    said: list[tuple[float, str, str]] = []
    together.node.create_subscription(
        DiagnosticArray, "/diagnostics",
        lambda message: said.extend((time.monotonic(), one.name, one.message) for one in message.status), 50,
    )  # fmt: skip
    return said


def _is_under_way(town: Town) -> bool:
    """Whether the vehicle drives, once it has directions."""
    from ros_town import TEXT, moved_m

    town.instruct(TEXT)
    began = len(town.truth)
    town.company.until(lambda: moved_m(town.truth[began:]) > 3.0 or town.is_told("failed"), "a vehicle that moves")
    return not town.is_told("failed")


def _trial(fault: Fault, number: int, town: Town, relay: Any, said: list[tuple[float, str, str]]) -> Seen:
    relay.change(fault.changes(number))
    if fault.second:
        relay.double()
    if fault.killed:
        town.odometry.kill()
    began_s = time.monotonic()
    town.company.until(lambda: time.monotonic() > began_s + WATCH_S, "the end of the fault")
    seen = _seen(fault, town, began_s if fault.killed or fault.second else relay.began_s, said)
    town.cancel()
    if not fault.lasts:
        relay.change({})
    if fault.killed:
        town.start_odometry()
    town.until_posed()
    town.until_standing()
    return seen


def _seen(fault: Fault, town: Town, began_s: float, said: list[tuple[float, str, str]]) -> Seen:
    from ros_town import stands

    after = [(at, stands(one)) for at, one in town.commands if at > began_s]
    moving_s = max((at for at, stand in after if not stand), default=began_s)
    stopped_s = min((at for at, stand in after if stand and at > moving_s), default=np.nan)
    named = [(at, words) for at, node, words in said if at > began_s and node == fault.node and fault.phrase in words]
    named_s, words = named[0] if named else (np.nan, "")
    nodes = [town.simulator, town.navigator, *([] if fault.killed else [town.odometry])]
    ended = sum(one.process.poll() is not None for one in nodes)
    return Seen(stopped_s - began_s, named_s - began_s, words, ended)


def _row(report: Report, what: str, seen: list[Seen]) -> None:
    stops = np.array([one.stopped_s for one in seen])
    on = int(np.isnan(stops).sum())
    told = f"{np.nanmedian(stops):.2f} s, {np.nanmax(stops):.2f} s" if on < len(stops) else ""
    told += f"{'; ' if told else ''}drives on in {on} of {len(stops)}" if on else ""
    report.row(
        f"{what}: until cmd_vel is zero and stays so, median and most of {len(seen)}", f"at most {BAR_S:g} s", told,
        bool((stops <= BAR_S).all()),
    )  # fmt: skip


def _line(what: str, seen: list[Seen]) -> list[str]:
    def each(values: list[float]) -> str:
        return ", ".join("-" if np.isnan(value) else f"{value:.2f}" for value in values)

    return [what, each([one.stopped_s for one in seen]), each([one.named_s for one in seen]), seen[-1].said]


def _uncalibrated(report: Report) -> None:
    """Nobody says where the sensors sit."""
    from ros_town import TEXT, Town, stands

    with company() as together:
        said = _hear_diagnostics(together)
        town = Town(together, {"/tf_static": "/tf_hidden"})
        town.instruct(TEXT)
        until_s = time.monotonic() + _FIRST_DRIVE_S
        together.until(lambda: time.monotonic() > until_s, "the end")
        named = next((words for _, _, words in said if "gone on without tf_static" in words), "")
        drives = sum(not stands(one) for _, one in town.commands)
    report.row("no tf_static: named by /diagnostics", "yes", named or "no", bool(named))
    report.row(
        f"no tf_static: commands in the first {_FIRST_DRIVE_S:g} s of a drive that are not zero", "none",
        f"{drives} of {len(town.commands)}", drives == 0,
    )  # fmt: skip


def _memory_killed(report: Report) -> None:
    from test_ros_memory import Drive

    def known(together: Company) -> int:
        values = {one.key: one.value for one in together.until_diagnosed("memory").status[0].values}
        return int(values["observations"])

    with company() as together, tempfile.TemporaryDirectory() as folder:
        drive = Drive(together)
        node = drive.start(folder=Path(folder) / "memory")
        drive.pass_along(0.0, 40.0)
        drive.until_recalled("bench")
        before = known(together)
        node.kill()
        drive.start(folder=Path(folder) / "memory")
        after = known(together)
    report.row("memory in a folder killed (kill -9): observations before, after", "none lost", f"{before}, {after}",
               after >= before)  # fmt: skip


def _refusals(report: Report) -> None:
    """Configurations that cannot be, and poses in frames that nobody knows."""
    from ros_refusals import refused

    rightly, times = 0, []
    for name, parameters, reason in refused():
        with company() as together:
            began_s = time.monotonic()
            node = together.start(name, **parameters)
            code = node.ended()
            times.append(time.monotonic() - began_s)
            good = code in (1, 2) and reason in node.said and "Traceback" not in node.said
            rightly += good
            print(name, parameters, code, good, flush=True)
    report.row("parameters out of range or of another type, files that cannot be read: refused with the reason",
               f"{len(times)} of {len(times)}", f"{rightly}", rightly == len(times))  # fmt: skip
    report.row("from the start to the refusal, median and most", "", f"{np.median(times):.1f} s, {max(times):.1f} s")
    _strange_poses(report)


def _strange_poses(report: Report) -> None:
    from geometry_msgs.msg import PoseWithCovarianceStamped

    from nodes.messages import header, stamped
    from test_ros_memory import Drive

    with company() as together:
        node = together.start("odometry")
        node.until_said("ready")
        out = together.node.create_publisher(PoseWithCovarianceStamped, "/initialpose", 1)
        together.until(out.get_subscription_count, "the odometry")
        out.publish(PoseWithCovarianceStamped(header=header(0, "roof")))
        node.until_said("/initialpose is in frame 'roof'")
        drive = Drive(together)
        drive.start()
        answer = drive.recall("recall_pose", stamped(0, "roof", np.eye(4)))["reason"]
    report.row("poses in an unknown frame, to odometry and memory: refused with the frame's name", "2 of 2",
               f"{1 + ('roof' in answer)}", "roof" in answer)  # fmt: skip


if __name__ == "__main__":
    main()
