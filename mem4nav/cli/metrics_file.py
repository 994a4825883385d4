# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""metrics.json: plain numbers that any JSON reader takes."""

from __future__ import annotations

import json
import math
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mem4nav import __version__
from slam.files import write_text


def write_metrics(folder: Path, metrics: dict[str, Any]) -> Path:
    """Write ``metrics`` as folder/metrics.json; what is not a finite number becomes null."""
    text = json.dumps(_finite(metrics), indent=2, allow_nan=False, ensure_ascii=False)
    return write_text(folder / "metrics.json", text + "\n")


def spread(values: NDArray[np.float64]) -> dict[str, float | None]:
    """Mean, median and 95th percentile of (N,) values; null where there are none."""
    if not len(values):
        return {"mean": None, "median": None, "p95": None}
    return {
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
    }


def peak_rss_mb() -> float:
    """The most memory this process has held, MB of 10^6 bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1.0 if sys.platform == "darwin" else 1024.0) / 1e6


def versions() -> dict[str, str]:
    """Of the stack, of Python, of the machine, and of the libraries that numbers depend on."""
    found = {"mem4nav": __version__, "python": platform.python_version(), "machine": platform.platform(terse=True)}
    for library in ("numpy", "scipy", "numba", "rosbags", "open3d"):
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
