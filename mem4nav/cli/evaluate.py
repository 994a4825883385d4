# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav evaluate``: errors of a trajectory against the truth."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from mem4nav.cli.console import Terminal
from mem4nav.errors import UsageError

if TYPE_CHECKING:
    from slam.metrics import Evaluation


def evaluate(
    estimate: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="EST.tum")],
    truth: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="GT.tum")],
    *,
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None,
    t_max_diff: float = 0.01,
    delta_frames: int = 1,
    quiet: bool = False,
) -> None:
    """Errors of a trajectory against the truth: ATE after SE(3) alignment, RPE, drift.

    Args:
        estimate: poses in the TUM format.
        truth: true poses of the same frame of the robot, in the TUM format.
        out: gets metrics.json and plot.png.
        t_max_diff: seconds that partners may lie apart.
        delta_frames: the relative error is taken over so many matched poses.
        quiet: say nothing but errors.
    """
    if t_max_diff < 0.0 or delta_frames < 1:
        raise UsageError(f"--t-max-diff {t_max_diff:g} must be 0 or more, --delta-frames {delta_frames} 1 or more")
    # Imported here, so that --help and a mistyped option answer at once.
    from slam.metrics import evaluate as compare
    from slam.trajectory import read_tum

    terminal = Terminal(quiet)
    result = compare(read_tum(estimate), read_tum(truth), t_max_diff_s=t_max_diff, delta_frames=delta_frames)
    terminal.table(f"{estimate.name} against {truth.name}", _rows(result))
    if out is not None:
        from mem4nav.cli.metrics_file import write_metrics
        from mem4nav.cli.report_plots import evaluation_png
        from slam.files import write_bytes

        write_metrics(out, _summary(result, t_max_diff, delta_frames))
        write_bytes(out / "plot.png", evaluation_png(result))
        terminal.say(f"results in {out}: metrics.json, plot.png")


def _rows(result: Evaluation) -> list[tuple[str, str]]:
    ate, trans, rot, drift = result.ate_m, result.rpe_trans_m, result.rpe_rot_deg, result.drift
    return [
        ("matched poses", f"{len(result.truth):,} of {result.poses:,}"),
        ("way of the truth", f"{result.truth.length_m():.2f} m"),
        ("ATE rmse", f"{ate.rmse:.4f} m"),
        ("ATE mean, median, max", f"{ate.mean:.4f}, {ate.median:.4f}, {ate.max:.4f} m"),
        ("RPE translation rmse", f"{trans.rmse:.4f} m"),
        ("RPE rotation rmse", f"{rot.rmse:.4f} deg"),
        ("drift, end to start", f"{drift.translation_m:.4f} m, {drift.percent:.3f} %, {drift.rotation_deg:.3f} deg"),
    ]


def _summary(result: Evaluation, t_max_diff_s: float, delta_frames: int) -> dict[str, Any]:
    return {
        "ate_rmse_m": result.ate_m.rmse,
        "rpe_trans_m": result.rpe_trans_m.rmse,
        "rpe_rot_deg": result.rpe_rot_deg.rmse,
        "drift_m": result.drift.translation_m,
        "drift_percent": result.drift.percent,
        "drift_rot_deg": result.drift.rotation_deg,
        "path_length_m": result.truth.length_m(),
        "poses": result.poses,
        "matched_poses": len(result.truth),
        "t_max_diff_s": t_max_diff_s,
        "delta_frames": delta_frames,
        "ate_m": asdict(result.ate_m),
        "rpe_trans_stats_m": asdict(result.rpe_trans_m),
        "rpe_rot_stats_deg": asdict(result.rpe_rot_deg),
        "T_truth_estimate": result.T_truth_estimate.tolist(),
    }
