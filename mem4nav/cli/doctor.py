# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav doctor``: what is installed and usable; for a bag, what is wrong with it."""

from __future__ import annotations

import logging
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from mem4nav.cli.console import Terminal

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from mem4nav.cli.installed import Outcome
    from slam.inspection import Finding, Report, StreamStatistics

COLOURS = {"ok": "green", "warn": "yellow", "bad": "red", "usable": "green", "missing": "dim", "broken": "red"}
OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 13)


def doctor(
    bag: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="BAG")] = None,
    *,
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None,
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None,
    quiet: bool = False,
) -> None:
    """What is installed and usable; for a bag: rates, gaps, stamps, clocks, IMU, clouds, calibration.

    Args:
        bag: a rosbag1, rosbag2 or mcap, or a drive folder in the KITTI raw layout.
        out: gets metrics.json.
        config: YAML as for replay; its key `recording` chooses topics and extrinsics.
        quiet: say nothing but errors.
    """
    terminal = Terminal(quiet)
    metrics = _examine_installation(terminal) if bag is None else _examine_recording(bag, config, terminal)
    if out is not None:
        from mem4nav.cli.metrics_file import versions, write_metrics

        path = write_metrics(out, metrics | {"versions": versions()})
        terminal.say(f"results in {path}")


# the installation


def _examine_installation(terminal: Terminal) -> dict[str, Any]:
    from mem4nav.cli.installed import PARTS, probe_all

    with terminal.task("trying what is installed", None):
        outcomes = probe_all()
    python = f"{platform.python_version()} at {sys.executable}"
    supported = OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON
    terminal.out.print(_installation_table(python, supported, outcomes))
    usable = sum(o.state == "usable" for o in outcomes)
    terminal.say(f"{usable} of {len(PARTS)} parts are usable; odometry and maps need the first four alone")
    parts = [asdict(o.part) | {"state": o.state, "detail": o.detail} for o in outcomes]
    return {"python": python, "python_supported": supported, "installed": parts}


def _installation_table(python: str, supported: bool, outcomes: list[Outcome]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left", pad_edge=False)
    for column in ("part", "state", "for", "version, or how to get it"):
        table.add_column(column, style="dim" if column == "for" else "", overflow="fold", header_style="bold")
    state = "usable" if supported else "broken"
    table.add_row("Python", Text(state, COLOURS[state]), "3.10 to 3.13", Text(python))
    for outcome in outcomes:
        detail = outcome.detail if outcome.state == "usable" else outcome.part.install
        if outcome.state == "broken":
            detail = f"{outcome.detail}; {outcome.part.install}"
        table.add_row(
            outcome.part.name, Text(outcome.state, COLOURS[outcome.state]), outcome.part.purpose, Text(detail)
        )
    return table


# a recording


def _examine_recording(bag: Path, config: Path | None, terminal: Terminal) -> dict[str, Any]:
    from slam.inspection import inspect_recording

    logging.getLogger("slam").setLevel(logging.ERROR)  # all that readers log comes as a finding
    with terminal.task(f"reading {bag.name}", None):
        report = inspect_recording(bag, _settings(config))
    terminal.say(f"{report.name}: {report.duration_s:.1f} s, {len(report.streams)} topics")
    terminal.say("")
    terminal.out.print(_stream_table(report.streams))
    terminal.say("")
    terminal.out.print(_finding_table(report.findings))
    terminal.say("")
    terminal.say(_verdict(report))
    return {"bag": str(bag)} | report.as_dict()


def _settings(config: Path | None) -> Any:
    if config is None:
        return None
    from slam.config import load
    from slam.replay_config import ReplayConfig

    return load(ReplayConfig, config).recording


def _stream_table(streams: list[StreamStatistics]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("topic", overflow="fold", header_style="bold")
    table.add_column("type", style="dim", overflow="fold", header_style="bold")
    for column in ("messages", "Hz", "gap s", "delay ms"):
        table.add_column(column, justify="right", header_style="bold", no_wrap=True)
    for s in streams:
        rate = "" if s.rate_hz is None else f"{s.rate_hz:.1f}"
        delay = "" if s.delay_ms is None else f"{s.delay_ms:,.0f}"
        gap = f"{s.longest_gap_s:.3f}" if s.rate_hz is not None else ""
        table.add_row(s.name, s.kind, f"{s.count:,}", rate, gap, delay)
    return table


def _finding_table(findings: list[Finding]) -> Table:
    """Worst first; the remedy under the finding."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=22)
    table.add_column(overflow="fold")
    order = ["bad", "warn", "ok"]
    for finding in sorted(findings, key=lambda f: order.index(f.severity.value)):
        severity = finding.severity.value
        table.add_row(Text(severity, COLOURS[severity]), Text(finding.subject), _text(finding))
    return table


def _text(finding: Finding) -> Text:
    from rich.text import Text

    text = Text(finding.text)
    return text.append(f"\n{finding.remedy}", "dim") if finding.remedy else text


def _verdict(report: Report) -> str:
    wrong, doubtful = (sum(f.severity.value == kind for f in report.findings) for kind in ("bad", "warn"))
    if wrong:
        return f"wrong: {wrong}, worth a look: {doubtful}; put right what is wrong before replaying"
    return f"usable; worth a look: {doubtful}" if doubtful else "all is well"
