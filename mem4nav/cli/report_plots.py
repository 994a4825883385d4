# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The charts of a report, each as one inline SVG whose text the browser sets."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from slam.metrics import Evaluation, pairs_by_frames, relative_errors
from slam.results import ScanResult, State
from slam.trajectory import Trajectory

if TYPE_CHECKING:
    from slam.gaussian_map.held_out import ViewScore

INK, MUTED, RULE = "#1f2933", "#6b7785", "#e4e7eb"
BLUE, TRUTH, AMBER = "#2f6fb0", "#aab4bf", "#c7851a"
STATE_COLORS = {State.OK: BLUE, State.DEGRADED: "#e0930f", State.LOST: "#c8372d"}
MAX_COLUMNS = 900
MAX_DOTS = 120

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.handlelength": 1.0,
    "lines.solid_capstyle": "round",
}


class Chart:
    """A figure in the making: draw on ``axes``, then read ``svg``."""

    def __init__(self, width_in: float, height_in: float) -> None:
        self._figure = Figure(figsize=(width_in, height_in), layout="constrained")
        self.axes: Axes = self._figure.add_subplot()
        self.svg = ""

    def finish(self, name: str) -> None:
        """Render; ``name`` keeps this figure's inner ids apart from those of others on the page."""
        with rc_context({"svg.hashsalt": name, "svg.id": name}):
            text = io.StringIO()
            self._figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        self.svg = _inline(text.getvalue())


@contextmanager
def chart(name: str, width_in: float = 5.6, height_in: float = 2.7) -> Iterator[Chart]:
    """A chart in the report's style; inches at 72 units each, scaled by the page."""
    with rc_context(STYLE):
        drawing = Chart(width_in, height_in)
        yield drawing
        drawing.finish(name)


def top_view(estimate: Trajectory, states: Sequence[State], truth: Trajectory | None) -> str:
    """The way seen from above, coloured by health, over the truth where it is known; all in one world frame."""
    with chart("way", 5.6, 5.5) as drawing:
        axes = drawing.axes
        if truth is not None:
            axes.plot(*_thin_path(truth.positions), color=TRUTH, linewidth=4.5, label="truth")
        for state, color in STATE_COLORS.items():
            mask = np.array([one is state for one in states])
            if mask.any():
                label = "estimate" if state is State.OK else state.value
                axes.plot(*_masked_path(estimate.positions, mask), color=color, linewidth=1.6, label=label)
        _mark_ends(axes, estimate.positions)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel("x, m")
        axes.set_ylabel("y, m")
        legend_above(axes)
    return drawing.svg


def position_error(evaluation: Evaluation) -> str:
    """Distance to the truth after alignment, over time."""
    with chart("position-error") as drawing:
        _draw_position_error(drawing.axes, evaluation)
    return drawing.svg


def relative_error(evaluation: Evaluation) -> str:
    """Error of the motion from one scan to the next, over time: translation, and rotation on an axis of its own."""
    start, end = pairs_by_frames(len(evaluation.truth))
    trans_m, rot_deg = relative_errors(evaluation.estimate, evaluation.truth, start, end)
    seconds = _seconds(evaluation.truth.stamps_ns)[end]
    with chart("relative-error") as drawing:
        drawing.axes.plot(*_thin(seconds, trans_m * 100.0), color=BLUE, linewidth=0.9, label="translation, cm")
        other = drawing.axes.twinx()
        other.plot(*_thin(seconds, rot_deg), color=AMBER, linewidth=0.9, alpha=0.85, label="rotation, deg")
        other.set_ylim(0.0, max(_almost_all(rot_deg) * 2.2, 1e-3))
        other.grid(False)
        other.set_ylabel("rotation, deg", color=AMBER)
        _from_zero(drawing.axes, "time, s", "translation, cm")
        drawing.axes.set_ylim(0.0, max(_almost_all(trans_m) * 150.0, 1e-3))
        drawing.axes.yaxis.label.set_color(BLUE)
    return drawing.svg


def timing(results: Sequence[ScanResult]) -> str:
    """Wall and CPU time of each scan, with the sensor's period as the line to stay under."""
    seconds = _seconds(np.array([scan.stamp_ns for scan in results]))
    wall, cpu = (np.array([getattr(scan, name) for scan in results]) / 1e6 for name in ("wall_ns", "cpu_ns"))
    period = float(np.median(np.diff(seconds)) * 1e3) if len(seconds) > 1 else 0.0
    top = max(period * 1.18, float(np.percentile(wall, 99.0)) * 1.25)
    with chart("timing") as drawing:
        axes = drawing.axes
        axes.plot(*_thin(seconds, cpu), color=TRUTH, linewidth=0.9, label="CPU")
        axes.plot(*_thin(seconds, wall), color=BLUE, linewidth=0.9, label="wall")
        if period > 0.0:
            axes.axhline(period, color=STATE_COLORS[State.LOST], linewidth=0.9, dashes=(4, 3))
            _note(axes, period, f"sensor period {period:.0f} ms")
        above = int(np.sum(wall > top))
        _from_zero(axes, "time, s" + (f" ({above} above the picture)" if above else ""), "time a scan, ms")
        axes.set_ylim(0.0, top)
        legend_above(axes)
    return drawing.svg


def fit(results: Sequence[ScanResult]) -> str:
    """How well each scan fits the map: residual, and the share of points that found a plane."""
    seconds = _seconds(np.array([scan.stamp_ns for scan in results]))
    residual = np.array([scan.residual_m for scan in results]) * 100.0
    share = np.array([scan.matched / scan.points if scan.points else np.nan for scan in results]) * 100.0
    with chart("fit") as drawing:
        drawing.axes.plot(*_thin(seconds, residual), color=BLUE, linewidth=1.0)
        other = drawing.axes.twinx()
        other.plot(*_thin(seconds, share), color=AMBER, linewidth=0.9, alpha=0.85)
        other.set_ylim(0.0, 105.0)
        other.grid(False)
        other.set_ylabel("points matched, %", color=AMBER)
        _from_zero(drawing.axes, "time, s", "residual, cm")
        drawing.axes.yaxis.label.set_color(BLUE)
    return drawing.svg


def held_out(scores: Sequence[ViewScore], first_ns: int) -> str:
    """What held-out pictures say about the map, over the time since ``first_ns``: PSNR, and the error of the depth."""
    scores = sorted(scores, key=lambda score: score.stamp_ns)
    seconds = np.array([score.stamp_ns - first_ns for score in scores]) / 1e9
    near, full, depth_m = (
        np.array([getattr(score, name) for score in scores]) for name in ("psnr_db", "psnr_full_db", "depth_error_m")
    )
    dots: dict[str, Any] = {"linewidth": 1.2, "marker": "o" if len(scores) < MAX_DOTS else None, "markersize": 3.0}
    with chart("held-out", width_in=11.6) as drawing:
        drawing.axes.plot(*_thin(seconds, full), color=TRUTH, label="whole picture", **dots)
        drawing.axes.plot(*_thin(seconds, near), color=BLUE, label="near returns", **dots)
        other = drawing.axes.twinx()
        other.plot(*_thin(seconds, depth_m * 100.0), color=AMBER, label="depth", alpha=0.85, **dots)
        other.set_ylim(0.0, max(_almost_all(depth_m[np.isfinite(depth_m)]) * 220.0, 1.0))
        other.grid(False)
        other.set_ylabel("error of the depth, cm", color=AMBER)
        _from_zero(drawing.axes, "time, s", "PSNR, dB")
        drawing.axes.yaxis.label.set_color(BLUE)
        legend_above(drawing.axes)
    return drawing.svg


def evaluation_png(evaluation: Evaluation) -> bytes:
    """One picture of the aligned way over the truth, and of the position error over time."""
    with rc_context(STYLE):
        figure = Figure(figsize=(10.0, 4.4), layout="constrained", dpi=150)
        above, beside = figure.subplots(1, 2)
        above.plot(*_thin_path(evaluation.truth.positions), color=TRUTH, linewidth=4.0, label="truth")
        above.plot(*_thin_path(evaluation.estimate.positions), color=BLUE, linewidth=1.3, label="estimate, aligned")
        above.set_aspect("equal", adjustable="datalim")
        above.set(xlabel="x, m", ylabel="y, m")
        legend_above(above)
        _draw_position_error(beside, evaluation)
        packed = io.BytesIO()
        figure.savefig(packed, format="png", metadata={"Software": None})
    return packed.getvalue()


def _draw_position_error(axes: Axes, evaluation: Evaluation) -> None:
    rmse_cm = evaluation.ate_m.rmse * 100.0
    axes.plot(*_thin(_seconds(evaluation.truth.stamps_ns), evaluation.errors_m * 100.0), color=BLUE, linewidth=1.2)
    axes.axhline(rmse_cm, color=MUTED, linewidth=0.9, dashes=(4, 3))
    _note(axes, rmse_cm, f"ATE {rmse_cm:.2f} cm")
    _from_zero(axes, "time, s", "position error, cm")


def _inline(svg: str) -> str:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    head, rest = body.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    return f'<svg {box.group(0) if box else ""} role="img">{rest}'


def _almost_all(values: NDArray[np.float64]) -> float:
    """A limit that a few outliers, as at the start, do not set."""
    if not len(values):
        return 0.0
    return float(min(np.max(values), 2.0 * np.percentile(values, 98.5)))


def _seconds(stamps_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return (stamps_ns - stamps_ns[0]) / 1e9


def _thin(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most two points, the least and the greatest, for each column of the picture."""
    if len(x) <= 2 * MAX_COLUMNS:
        return x, y
    blocks = np.array_split(np.arange(len(x)), MAX_COLUMNS)
    filled = np.where(np.isnan(y), -np.inf, y)
    keep = sorted({int(block[pick(filled[block])]) for block in blocks for pick in (np.argmin, np.argmax)})
    return x[keep], y[keep]


def _thin_path(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    return positions[:: max(1, len(positions) // 4000), :2].T


def _masked_path(positions: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The path where the mask holds, one pose longer on either side so that colours meet, NaN elsewhere."""
    wide = mask | np.append(mask[1:], False)
    return np.where(wide[:, None], positions[:, :2], np.nan)[:: max(1, len(positions) // 8000)].T


def _mark_ends(axes: Axes, positions: NDArray[np.float64]) -> None:
    for index, name, face in ((0, "start", "white"), (-1, "end", INK)):
        axes.plot(*positions[index, :2], "o", markersize=5.5, color=INK, markerfacecolor=face, label=name)


def legend_above(axes: Axes) -> None:
    """The legend in a row over the axes."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=6, borderaxespad=0.2, columnspacing=1.0, handletextpad=0.5
    )


def _note(axes: Axes, y: float, text: str) -> None:
    axes.annotate(text, (1.0, y), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                  ha="right", va="bottom", color=INK, fontsize=8.5,
                  bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0})  # fmt: skip


def _from_zero(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_ylim(bottom=0.0)
    axes.margins(x=0.01)
