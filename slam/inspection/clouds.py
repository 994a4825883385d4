# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Clouds: how many points, how many of them are returns, how far they reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slam.inspection.report import Finding, Severity
from slam.measurements import Scan

FEW_POINTS = 500


@np.errstate(all="ignore")  # damaged messages hold numbers such as 1e38
def cloud_findings(scans: Sequence[Scan], name: str) -> tuple[list[Finding], dict[str, Any]]:
    """Verdicts on sampled scans, and the numbers behind them."""
    if not scans:
        return [], {}
    counts = np.array([len(s.points) for s in scans])
    points = np.concatenate([np.asarray(s.points, np.float64) for s in scans])
    findings = []
    if empty := int((counts == 0).sum()):
        text = f"{empty} of {len(scans)} scans looked at are empty"
        findings.append(Finding(Severity.WARN, name, text, "Dropped packets, or a driver that starts too early."))
    if not len(points):
        return findings, {"points_per_scan": 0}
    finite = np.isfinite(points).all(axis=1)
    ranges = np.linalg.norm(points[finite], axis=1)
    returns = ranges[ranges > 0]
    numbers = {
        "points_per_scan": float(np.median(counts)),
        "not_finite": float(1 - finite.mean()),
        "zero": float((ranges == 0).mean()) if len(ranges) else 0.0,
        "range_m": np.percentile(returns, [1, 50, 99]).tolist() if len(returns) else [],
    }
    return findings + _verdicts(numbers, returns, float(np.median(counts)), name), numbers


def _verdicts(numbers: dict[str, Any], ranges: NDArray, count: float, name: str) -> list[Finding]:
    if not len(ranges):
        remedy = "Only zeros and NaN: is the sensor covered, or its window of angles empty?"
        return [Finding(Severity.BAD, name, "no point with a range", remedy)]
    near, middle, far = numbers["range_m"]
    text = (
        f"{count:,.0f} points a scan, {100 * numbers['not_finite']:.1f} % NaN, {100 * numbers['zero']:.1f} % zero; "
        f"range {near:.1f} m (1 %), {middle:.1f} m (median), {far:.1f} m (99 %)"
    )
    returns = count * (1 - numbers["not_finite"]) * (1 - numbers["zero"])
    if middle > 500 or middle < 0.3:
        remedy = "Points must be in metres: millimetres, or centimetres?"
        return [Finding(Severity.BAD, name, text, remedy)]
    if returns < FEW_POINTS:
        return [Finding(Severity.WARN, name, text, f"Under {FEW_POINTS} returns a scan: cropped, or covered?")]
    return [Finding(Severity.OK, name, text)]
