# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Every node of a replay and of the town killed (kill -9) while ``mem4nav up`` runs them: how soon all goes on."""

from __future__ import annotations

import importlib.util
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.drives import bags
from bench.ros_runs import company
from bench.rows import Report

if TYPE_CHECKING:
    from ros_processes import Company, Up

KILLS = 5
BAR_S = 3.0
SETTLE_S = 3.0
AGAIN = ", just started again,"
SETUPS = {
    "replay": (["bag_player", "odometry", f"odometry{AGAIN}"], ["loop:=true"]),
    "sim": (["simulator", "odometry", "detection", "memory", "navigator"], ["instruct:=false", "realtime_factor:=0.5"]),
}


def main() -> None:
    report = Report("ros_restart")
    if importlib.util.find_spec("rclpy") is None:
        report.skip("nodes killed", "rclpy is not here: pip install 'mem4nav[ros]'")
        return report.save()
    from ros_processes import Up

    rows: list[list[str]] = []
    pauses: dict[tuple[str, str], list[float]] = {}
    for setup, (names, words) in SETUPS.items():
        given = [f"bag:={bags('city', (1,))[1]}", *words] if setup == "replay" else words
        with company() as together, tempfile.TemporaryDirectory() as folder:
            heard = _hear_tf(together)
            with Up(Path(folder) / "up.log", setup, *given) as up:
                together.until(lambda: len(heard) > 20, "tf")  # noqa: B023
                for name in names:
                    again = name.removesuffix(AGAIN)
                    kill = _killed if again == name else _killed_again
                    found = [kill(together, up, again, heard) for _ in range(KILLS)]
                    pauses[setup, name] = [pause for pause, _ in found]
                    rows.append(
                        [setup, name, _spread(pauses[setup, name]), "yes" if all(s for _, s in found) else "no"]
                    )
                up.process.send_signal(signal.SIGINT)
                code = up.process.wait(30.0)
                report.row(f"{setup}: exit code after Ctrl-C", "0", str(code), code == 0)
    _bars(report, pauses)
    report.table("Pauses of /tf", ["setup", "killed", "least, median, most, s", "others went on"], rows)
    report.save()


def _bars(report: Report, pauses: dict[tuple[str, str], list[float]]) -> None:
    judged = [("replay", "odometry"), ("replay", f"odometry{AGAIN}"), ("replay", "bag_player"), ("sim", "odometry")]
    for setup, name in [*judged, ("sim", "simulator")]:
        what = f"{setup}: longest pause of tf after the {name} was killed, of {KILLS}"
        report.at_most(what, max(pauses[setup, name]), BAR_S, "s", 2)
    others = max(max(pauses["sim", name]) for name in ("detection", "memory", "navigator"))
    report.at_most("sim: longest pause of tf after detection, memory or navigator was killed", others, BAR_S, "s", 2)
    report.note("The simulator builds its town anew, and no spare of it stands by.")


def _hear_tf(together: Company) -> list[float]:
    from tf2_msgs.msg import TFMessage

    heard: list[float] = []
    together.node.create_subscription(TFMessage, "/tf", lambda _: heard.append(time.monotonic()), 100)
    return heard


def _killed_again(together: Company, up: Up, name: str, heard: list[float]) -> tuple[float, bool]:
    """The same for who has just taken the place of one that was killed, and has no spare yet that is ready."""
    _killed(together, up, name, heard, settle_s=0.0)
    return _killed(together, up, name, heard)


def _killed(together: Company, up: Up, name: str, heard: list[float], settle_s: float = SETTLE_S) -> tuple[float, bool]:
    """Longest pause of tf round a kill, and whether the others stayed as they were."""
    before = up.children()
    count = up.said.count("SIGKILL")
    killed_s = time.monotonic()
    os.kill(before[name], signal.SIGKILL)
    together.until(lambda: up.said.count("SIGKILL") > count, "news of it")
    together.until(lambda: up.children().get(name, before[name]) != before[name], "its successor")
    together.until(lambda: heard[-1] > killed_s + 0.5, "tf")
    settled_s = time.monotonic() + settle_s
    together.until(lambda: time.monotonic() > settled_s, "its end")
    times = np.array([one for one in heard if one > killed_s - 1.0])
    after = up.children()
    return float(np.diff(times).max()), all(after.get(other) == pid for other, pid in before.items() if other != name)


def _spread(pauses: list[float]) -> str:
    return f"{min(pauses):.2f}, {np.median(pauses):.2f}, {max(pauses):.2f}"


if __name__ == "__main__":
    main()
