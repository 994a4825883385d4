# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The numbers of a replay, as metrics.json holds them and as one line says them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from mem4nav.cli.metrics_file import peak_rss_mb, spread, versions
from slam.metrics import Evaluation
from slam.results import ScanResult, State

if TYPE_CHECKING:
    from slam.gaussian_map.held_out import ViewScore
    from slam.replay import ReplayResult


def replay_metrics(result: ReplayResult, evaluation: Evaluation | None, truth_source: str = "") -> dict[str, Any]:
    """Everything of metrics.json; errors against the truth only where there is one."""
    results = result.results
    wall_ms = np.array([scan.wall_ns for scan in results], dtype=np.float64) / 1e6
    cpu_ms = np.array([scan.cpu_ns for scan in results], dtype=np.float64) / 1e6
    states = Counter(scan.health.state for scan in results)
    metrics: dict[str, Any] = {
        "scans": len(results),
        "path_length_m": result.trajectory().length_m(),
        "ms_per_scan": spread(wall_ms),
        "cpu_ms_per_scan": spread(cpu_ms),
        "reading": {"wall_s": result.read_wall_s, "cpu_s": result.read_cpu_s},
        "duration_s": result.duration_s,
        "wall_s": result.wall_s,
        "realtime_factor": result.duration_s / result.wall_s if result.wall_s > 0.0 else None,
        "peak_rss_mb": peak_rss_mb(),
        "health": {state.value: states[state] for state in State},
        "segments": len({scan.segment for scan in results}),
        "segment_table": segment_table(results),
    }
    if evaluation is not None:
        metrics |= {"truth": truth_source} | truth_metrics(evaluation)
    return metrics | {"versions": versions()}


def map_metrics(result: ReplayResult, map_bytes: int | None) -> dict[str, Any]:
    """What there is to say about the map and the pictures, nothing where there are neither.

    Args:
        map_bytes: of the stored map, None where none was.
    """
    metrics: dict[str, Any] = {} if map_bytes is None else {"map_mb": map_bytes / 1e6}
    verdicts = [scan.camera for scan in result.results if scan.camera]
    if verdicts:
        used = verdicts.count("used")
        reasons = Counter(gist(verdict) for verdict in verdicts if verdict != "used")
        metrics["camera"] = {"used": used, "not_used": len(verdicts) - used, "reasons": dict(reasons.most_common())}
    if result.gaussians is None:
        return metrics
    fitting = {"wall_s": result.mapping_s, "pictures": len(verdicts)}
    if verdicts:
        fitting["ms_per_picture"] = result.mapping_s * 1e3 / len(verdicts)
    return metrics | held_out_metrics(result.scores) | {"gaussians": len(result.gaussians), "mapping": fitting}


def held_out_metrics(scores: Sequence[ViewScore]) -> dict[str, Any]:
    """Means over the held-out pictures, and the median error of the depth; their number alone where there are none."""
    figures: dict[str, Any] = {"held_out": len(scores)}
    for name, summary in (("psnr_db", np.mean), ("psnr_full_db", np.mean), ("ssim", np.mean),
                          ("depth_error_m", np.median)):  # fmt: skip
        values = np.array([getattr(score, name) for score in scores])
        if np.isfinite(values).any():
            figures[name] = float(summary(values[np.isfinite(values)]))
    return figures


def gist(reason: str) -> str:
    """A reason without its numbers: reasons that differ in these alone are one."""
    return re.sub(r"[-+]?\d[\d.,]*", "#", reason)


def truth_metrics(evaluation: Evaluation) -> dict[str, Any]:
    """Errors against the truth: ATE after SE(3) alignment, RPE from one matched pose to the next, drift of the end."""
    return {
        "ate_rmse_m": evaluation.ate_m.rmse,
        "ate_max_m": evaluation.ate_m.max,
        "rpe_trans_m": evaluation.rpe_trans_m.rmse,
        "rpe_rot_deg": evaluation.rpe_rot_deg.rmse,
        "drift_m": evaluation.drift.translation_m,
        "drift_percent": evaluation.drift.percent,
        "drift_rot_deg": evaluation.drift.rotation_deg,
        "truth_length_m": evaluation.truth.length_m(),
        "matched_poses": len(evaluation.truth),
    }


def segment_table(results: Sequence[ScanResult]) -> list[dict[str, Any]]:
    """One row for each unbroken run of scans of one segment."""
    rows = []
    for segment, group in groupby(results, key=lambda scan: scan.segment):
        scans = list(group)
        positions = np.array([scan.T_odom_lidar[:3, 3] for scan in scans])
        states = Counter(scan.health.state for scan in scans)
        rows.append(
            {
                "segment": segment,
                "first_stamp_ns": scans[0].stamp_ns,
                "last_stamp_ns": scans[-1].stamp_ns,
                "scans": len(scans),
                "path_length_m": float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum()),
                "health": {state.value: states[state] for state in State},
            }
        )
    return rows


def headline(metrics: dict[str, Any]) -> str:
    """The verdict in one line."""
    parts = [_health_phrase(metrics), f"{metrics['path_length_m']:.1f} m of way"]
    if "ate_rmse_m" in metrics:
        parts.append(f"ATE {metrics['ate_rmse_m']:.3f} m, end off by {metrics['drift_percent']:.3f} %")
    if metrics["ms_per_scan"]["median"] is not None:
        parts.append(f"{milliseconds(metrics['ms_per_scan']['median'])} ms a scan")
    if "psnr_db" in metrics:
        parts.append(f"PSNR {metrics['psnr_db']:.1f} dB on {metrics['held_out']:,} pictures that the map never saw")
    if metrics["realtime_factor"]:
        parts.append(_pace(metrics["realtime_factor"]))
    return "; ".join(parts)


def milliseconds(value: float) -> str:
    """With a decimal where it says something."""
    return f"{value:.1f}" if value < 100.0 else f"{value:,.0f}"


def _health_phrase(metrics: dict[str, Any]) -> str:
    scans, health = metrics["scans"], metrics["health"]
    bad = [f"{health[state]:,} {state}" for state in ("degraded", "lost") if health[state]]
    segments = f" in {metrics['segments']} segments" if metrics["segments"] > 1 else ""
    if not bad:
        return f"all {scans:,} scans ok{segments}"
    return f"{scans:,} scans, {' and '.join(bad)}{segments}"


def _pace(factor: float) -> str:
    if factor >= 1.0:
        return f"{factor:.1f} times faster than the sensors"
    return f"took {1 / factor:.1f} times as long as the drive"
