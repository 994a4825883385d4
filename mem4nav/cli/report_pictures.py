# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the map shows of pictures that it has never seen, and what the camera did for the pose."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mem4nav.cli.replay_metrics import gist
from mem4nav.cli.report_health import table
from mem4nav.cli.report_plots import held_out
from slam.results import ScanResult

if TYPE_CHECKING:
    from slam.replay import ReplayResult

Pair = tuple[int, NDArray[np.uint8], NDArray[np.uint8]]
"""Stamp, picture and rendering."""

PAIRS = 6
WIDEST_PX = 640
QUALITY = 82
WIDE = 1.8
"""Pictures wider than this many times their height are put one above the other, others side by side."""
MAX_REASONS = 10

STRIP_CAPTION = (
    "What the camera saw, and what the map shows from there, black where it shows nothing. To walk through it: "
    "<code>mem4nav view DIR</code>, DIR being the folder of this page."
)
CHART_CAPTION = (
    "PSNR of these pictures, on pixels within 4 px of a LiDAR return and on all; median error of the depth that the "
    "map shows against the scan's."
)


def tiles(metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and unit of the map's figures."""
    found = []
    if "psnr_db" in metrics:
        found.append((f"PSNR, {metrics['held_out']:,} unseen pictures", f"{metrics['psnr_db']:.1f}", "dB"))
    if "ssim" in metrics:
        found.append(("SSIM, whole picture", f"{metrics['ssim']:.2f}", ""))
    if "depth_error_m" in metrics:
        found.append(("depth of the map, median error", f"{metrics['depth_error_m'] * 100:.1f}", "cm"))
    if "gaussians" in metrics:
        found.append(("Gaussians in memory", f"{metrics['gaussians']:,}", ""))
    if "map_mb" in metrics and "gaussians" in metrics:
        found.append(("map on disk", f"{metrics['map_mb']:.1f}", "MB"))
    return found


def fly_through(result: ReplayResult) -> str:
    """Held-out pictures beside what the map shows from there, and figures over time; nothing where there are none."""
    if not result.strip or not result.scores:
        return ""
    first_ns = result.results[0].stamp_ns
    known = {score.stamp_ns: score.psnr_db for score in result.scores}
    pairs = "".join(_pair(pair, known, first_ns) for pair in _spread(result.strip, PAIRS))
    return (
        f'<figure class="wide"><h2>Pictures that the map has never seen</h2><figcaption>{STRIP_CAPTION}</figcaption>'
        f'<div class="pairs">{pairs}</div><h2>Quality of the map</h2><figcaption>{CHART_CAPTION}</figcaption>'
        f"{held_out(result.scores, first_ns)}</figure>"
    )


def camera_table(results: Sequence[ScanResult]) -> str:
    """How many scans were helped by pictures, and why the others were not; nothing where there were no pictures."""
    seen = [scan for scan in results if scan.camera]
    if not seen:
        return ""
    rows: dict[str, list[Any]] = {}
    for scan in seen:
        if scan.camera != "used":
            rows.setdefault(gist(scan.camera), [scan.camera, scan.stamp_ns, 0])[2] += 1
    used = len(seen) - sum(count for _, _, count in rows.values())
    line = (
        f'<p class="camera">The camera moved the pose of {used:,} of {len(seen):,} scans that it was asked about.</p>'
    )
    if not rows:
        return line
    ordered = sorted(rows.values(), key=lambda row: -row[2])[:MAX_REASONS]
    first_ns = results[0].stamp_ns
    cells = [(escape(text), f"{count:,}", f"{(stamp - first_ns) / 1e9:.1f} s") for text, stamp, count in ordered]
    return line + table(("pose left to LiDAR and IMU because (as first said)", "scans", "first at"), cells, numbers=2)


def _spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most so many, from the first to the last."""
    places = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))
    return [items[place] for place in places]


def _pair(pair: Pair, psnr_db: dict[int, float], first_ns: int) -> str:
    stamp_ns, picture, rendering = pair
    said = f"{(stamp_ns - first_ns) / 1e9:.1f} s"
    if np.isfinite(psnr_db.get(stamp_ns, np.nan)):
        said += f", {psnr_db[stamp_ns]:.1f} dB"
    kind = "stacked" if picture.shape[1] > WIDE * picture.shape[0] else "beside"
    images = image(picture, f"picture at {said}") + image(rendering, "what the map shows")
    return f'<div class="pair"><div class="{kind}">{images}</div><span class="muted">{said}</span></div>'


def image(pixels: NDArray[np.uint8], said: str) -> str:
    """(H, W, 3) pixels as an img with ``said`` as its text."""
    shown = Image.fromarray(pixels)
    shown.thumbnail((WIDEST_PX, WIDEST_PX), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    shown.save(packed, "JPEG", quality=QUALITY)
    return f'<img alt="{said}" src="data:image/jpeg;base64,{base64.b64encode(packed.getvalue()).decode()}">'
