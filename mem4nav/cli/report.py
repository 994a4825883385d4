# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""report.html: one self-contained page about a replay, which opens from the disk and asks nothing of the network."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mem4nav.cli import report_plots as plots
from mem4nav.cli.replay_metrics import milliseconds
from mem4nav.cli.report_health import reasons_table, segments_table, strip
from mem4nav.cli.report_map import picture
from mem4nav.cli.report_pictures import camera_table, fly_through
from mem4nav.cli.report_pictures import tiles as map_tiles
from slam.files import write_text
from slam.metrics import Evaluation
from slam.octree import REACH2
from slam.results import State
from slam.trajectory import Trajectory

if TYPE_CHECKING:
    from slam.replay import ReplayResult


TIME_CAPTION = "Odometry and map; reading, and fitting to pictures, apart."
DISC_SIGMAS, GATE_SIGMAS = 2.1, 3.0  # an even disc's points deviate by half its radius; the gate is at three deviations
FIT_CAPTION = "Distance of matched points to their planes (RMS), and their share."


@dataclass(frozen=True, slots=True)
class Chapter:
    """What a report tells besides the replay: HTML, and what of it goes into metrics.json."""

    html: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Story:
    """What a report tells.

    Attributes:
        title: of the page.
        verdict: one line.
        result: the replay.
        evaluation: against the truth, or None.
        metrics: as in metrics.json.
        configuration: the resolved one, as YAML.
        notes: the log, a line each.
        last: what else there is to tell.
    """

    title: str
    verdict: str
    result: ReplayResult
    evaluation: Evaluation | None
    metrics: dict[str, Any]
    configuration: str
    notes: list[str]
    last: Chapter = Chapter()


def map_png(result: ReplayResult) -> bytes | None:
    """The map and the way through it, levelled and seen from aside; None where there is too little to see."""
    level = result.tilt
    radii = DISC_SIGMAS * np.sqrt(result.map.planes()[:, REACH2]) / GATE_SIGMAS
    path = np.array([one.T_odom_base[:3, 3] for one in result.results]).reshape(-1, 3)
    return picture(result.map_points @ level.T, result.map_normals @ level.T, radii, path @ level.T)


def write_report(path: Path, story: Story, picture_of_map: bytes | None = None) -> Path:
    """Write the page, aside first and then renamed."""
    return write_text(path, render(story, picture_of_map))


def render(story: Story, picture_of_map: bytes | None = None) -> str:
    """The page as text; the picture is a PNG."""
    css = resources.files("mem4nav.cli").joinpath("report.css").read_text(encoding="utf-8")
    parts = [_header(story), _tiles(story.metrics)]
    if story.result.results:
        parts += ['<div class="grid">', *_figures(story, picture_of_map), _health(story), "</div>"]
    parts += [story.last.html, _folded(story)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(story.title)}</title><style>{css}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _header(story: Story) -> str:
    health = story.metrics["health"]
    worst = "lost" if health["lost"] else "degraded" if health["degraded"] else "ok"
    verdict = story.verdict[:1].upper() + story.verdict[1:] + "."
    return (
        f'<header><h1>{escape(story.title)}</h1><div class="verdict">'
        f'<span class="badge {worst}">{worst.upper()}</span><p>{escape(verdict)}</p></div></header>'
    )


def _tiles(metrics: dict[str, Any]) -> str:
    tiles = [("way", f"{metrics['path_length_m']:,.1f}", "m"), ("scans", f"{metrics['scans']:,}", "")]
    if "ate_rmse_m" in metrics:
        tiles += [
            ("ATE, RMSE after alignment", f"{metrics['ate_rmse_m'] * 100:.1f}", "cm"),
            ("drift, end to start", f"{metrics['drift_percent']:.3f}", "%"),
            ("RPE from scan to scan", f"{metrics['rpe_trans_m'] * 100:.1f}", f"cm, {metrics['rpe_rot_deg']:.2f}°"),
        ]
    if metrics["ms_per_scan"]["median"] is not None:
        tiles += [("a scan, median wall time", milliseconds(metrics["ms_per_scan"]["median"]), "ms")]
    if metrics["realtime_factor"]:
        tiles += [_pace(metrics["realtime_factor"])]
    tiles += map_tiles(metrics)
    tiles += [("memory, peak", f"{metrics['peak_rss_mb']:,.0f}", "MB")]
    cells = [
        f'<div class="tile"><b>{value} <small>{unit}</small></b><span>{name}</span></div>'
        for name, value, unit in tiles
    ]
    return f'<div class="tiles">{"".join(cells)}</div>'


def _pace(factor: float) -> tuple[str, str, str]:
    if factor >= 1.0:
        return "speed of the sensors, with reading", f"{factor:.1f}×", ""
    return "the time of the drive, with reading", f"{1 / factor:.1f}×", ""


def _figures(story: Story, picture_of_map: bytes | None) -> list[str]:
    results, evaluation = story.result.results, story.evaluation
    estimate = evaluation.estimate if evaluation else story.result.base_trajectory()
    truth = evaluation.truth if evaluation else None
    figures = []
    if picture_of_map is not None:
        figures.append(_map(story, picture_of_map))
    figures.append(fly_through(story.result))
    caption = "Seen from above, aligned with the truth." if truth else "base_link seen from above, in odom."
    figures.append(_figure("Trajectory", caption, plots.top_view(estimate, _states(story, estimate), truth)))
    if evaluation:
        figures.append(_errors(evaluation))
        figures.append(_figure("Time a scan", TIME_CAPTION, plots.timing(results)))
        figures.append(_figure("Fit to the map", FIT_CAPTION, plots.fit(results)))
    else:
        captions = f"{TIME_CAPTION} Below: {FIT_CAPTION[0].lower()}{FIT_CAPTION[1:]}"
        figures.append(_figure("Time a scan, fit to the map", captions, plots.timing(results) + plots.fit(results)))
    return figures


def _errors(evaluation: Evaluation) -> str:
    absolute, relative = plots.position_error(evaluation), plots.relative_error(evaluation)
    return (
        f"<figure><h2>Errors over time</h2><figcaption>Position after SE(3) alignment; below, the motion from one scan "
        f"to the next.</figcaption>{absolute}{relative}</figure>"
    )


def _map(story: Story, png: bytes) -> str:
    image = f'<img alt="map and way" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
    caption = f"{len(story.result.map_points):,} planes, coloured by height; the way in red."
    return _figure("Map", caption, image, wide=True)


def _figure(title: str, caption: str, body: str, *, wide: bool = False) -> str:
    kind = ' class="wide"' if wide else ""
    return f"<figure{kind}><h2>{title}</h2><figcaption>{caption}</figcaption>{body}</figure>"


def _states(story: Story, trajectory: Trajectory) -> list[State]:
    known = {result.stamp_ns: result.health.state for result in story.result.results}
    return [known.get(int(stamp), State.OK) for stamp in trajectory.stamps_ns]


def _health(story: Story) -> str:
    results = story.result.results
    return (
        '<section class="wide"><h2>Health</h2><p class="muted">What each scan says about its own pose.</p>'
        f"{strip(results)}{reasons_table(results)}{camera_table(results)}{segments_table(story.metrics['segment_table'])}</section>"
    )


def _folded(story: Story) -> str:
    versions = "\n".join(f"{name} {version}" for name, version in story.metrics["versions"].items())
    log = "\n".join(story.notes) or "nothing to report"
    blocks = [("Log", log, " open"), ("Configuration", story.configuration, ""), ("Versions", versions, "")]
    return "<section>" + "".join(
        f"<details{state}><summary>{name}</summary><pre>{escape(text.rstrip())}</pre></details>"
        for name, text, state in blocks
    ) + "</section>"  # fmt: skip
