# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The bag player and the odometry node as processes on this host, timed and weighed from outside."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ros_processes import Company, RunningNode

RELIABLE = {
    f"qos_overrides./{topic}.subscription.reliability": "reliable" for topic in ("points", "imu", "camera/front/image")
}
"""The player sends what was recorded reliably; a robot's drivers mostly do not."""
QUIET_S = 3.0
_LATENCY = re.compile(r"([\d.]+), ([\d.]+)")


@dataclass(slots=True)
class Played:
    """What one playing gave.

    Attributes:
        positions: (3,) metres of base_link in odom by stamp, nanoseconds.
        latencies_ms: (p50, p95) of the newest 200 scans, each second, from a scan's arrival to its odom.
        dropped: messages that the node's queues dropped, by kind.
        cpu_s: of the node, from being ready to the last scan.
        wall_s: from the first to the last odom heard.
        resident_mb: of the node, each second.
        shared_mb: in /dev/shm, each second.
    """

    positions: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    latencies_ms: list[tuple[float, float]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    wall_s: float = 0.0
    resident_mb: list[float] = field(default_factory=list)
    shared_mb: list[float] = field(default_factory=list)


@contextmanager
def company():
    """Nodes that speak to each other; none is left running."""
    from ros_processes import Company

    with tempfile.TemporaryDirectory() as folder, Company(Path(folder)) as together:
        yield together


def play(
    together: Company, bag: Path, rate: float, cameras: Sequence[str] = (), *, loop: bool = False,
    until: Callable[[Played], bool] = lambda played: False,
) -> Played:  # fmt: skip
    """Play a bag to the odometry until nothing more comes for some seconds, or ``until`` says so."""
    from diagnostic_msgs.msg import DiagnosticArray
    from nav_msgs.msg import Odometry

    played, times = Played(), [0.0, 0.0]

    def hear_odom(message: Odometry) -> None:
        place = message.pose.pose.position
        stamp = message.header.stamp
        played.positions[stamp.sec * 1_000_000_000 + stamp.nanosec] = np.array([place.x, place.y, place.z])
        times[:] = times[0] or time.monotonic(), time.monotonic()

    def hear_diagnostics(message: DiagnosticArray) -> None:
        if message.status[0].name == "odometry" and played.positions:
            _note(played, {one.key: one.value for one in message.status[0].values}, node)

    together.node.create_subscription(Odometry, "odom", hear_odom, 200)
    together.node.create_subscription(DiagnosticArray, "/diagnostics", hear_diagnostics, 10)
    node = together.start("odometry", cameras=f"[{', '.join(cameras)}]" if cameras else "['']", **RELIABLE)
    node.until_said("ready")
    began_s = cpu_s(node.process.pid)
    pictures = {name: f"camera/{name}/image" for name in cameras}
    awaited = ["/points", "/imu", *(f"/{topic}_raw" for topic in pictures.values())]
    renamed = {f"{topic}_raw": topic for topic in pictures.values()}
    together.start("bag_player", renamed, bag=bag, rate=rate, loop=loop, wait_for=f"[{', '.join(awaited)}]")
    together.until(lambda: played.positions, "the first pose")
    together.until(lambda: time.monotonic() - times[1] > QUIET_S or until(played), "the end", patience_s=4000.0)
    played.cpu_s, played.wall_s = cpu_s(node.process.pid) - began_s, times[1] - times[0]
    return played


def _note(played: Played, values: dict[str, str], node: RunningNode) -> None:
    if found := _LATENCY.match(values.get("latency p50, p95 (ms)", "")):
        played.latencies_ms.append((float(found[1]), float(found[2])))
    dropped = {key.removesuffix(" dropped"): int(value) for key, value in values.items() if key.endswith(" dropped")}
    played.dropped |= dropped
    played.resident_mb.append(resident_mb(node.process.pid))
    played.shared_mb.append(shared_mb())


def cpu_s(pid: int) -> float:
    """CPU time of a process so far, all its threads, user and system."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Resident memory of a process, now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def shared_mb() -> float:
    """What lies in this host's shared memory."""
    found = os.statvfs("/dev/shm")
    return (found.f_blocks - found.f_bfree) * found.f_frsize / 1e6
