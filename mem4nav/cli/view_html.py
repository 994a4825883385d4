# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A scene as one HTML file that asks nothing of the network: data and a WebGL 2 viewer in it (view.html, view.js)."""

from __future__ import annotations

import json
from base64 import b64encode
from html import escape
from importlib import resources
from string import Template

import numpy as np
from numpy.typing import NDArray

from mem4nav.cli.map_scene import Scene
from slam.splatting.gaussians import Gaussians, concatenated

RECORD = np.dtype([("mean", "<f4", 3), ("colour", "u1", 4), ("quat", "<i2", 4), ("scales", "<f2", 3), ("spare", "<f2")])
"""A Gaussian as the shader unpacks it: 32 bytes; the quaternion in units of 1/32767."""
LARGEST_HALF = 65504.0


def page(scene: Scene, most: int) -> str:
    """The page; of more than ``most`` Gaussians or planes those that cover most are kept."""
    gaussians, planes = (most_covering(part, most) for part in (scene.gaussians, scene.planes))
    centre, radius_m = middle(gaussians if gaussians.size else planes, scene.way)
    both = concatenated([Gaussians(*part[:4], part.harmonics[:, :1]) for part in (gaussians, planes)])
    facts = {"gaussians": gaussians.size, "radius_m": radius_m}
    shown = [f"{gaussians.size:,} of {scene.gaussians.size:,} Gaussians", f"{planes.size:,} planes"]
    return Template(_text("view.html")).substitute(
        title=escape(scene.title),
        caption=", ".join(shown[not gaussians.size :]),
        note=escape(scene.note and f"Note: {scene.note}."),
        gaussians=" checked" if gaussians.size else " disabled",
        planes=" disabled" if not planes.size else " checked" if not gaussians.size else "",
        way=" checked" if len(scene.way) > 1 else " disabled",
        facts=json.dumps(facts),
        splats=b64encode(records(both, centre).tobytes()).decode(),
        path=b64encode((scene.way - centre).astype("<f4").tobytes()).decode(),
        script=_text("view.js"),
    )


def records(gaussians: Gaussians, centre: NDArray[np.float64]) -> NDArray:
    """(N,) of ``RECORD``, positions from ``centre`` (3,)."""
    out = np.zeros(gaussians.size, RECORD)
    quats = gaussians.quats / np.maximum(np.linalg.norm(gaussians.quats, axis=1, keepdims=True), 1e-12)
    out["mean"] = gaussians.means.astype(np.float64) - centre
    out["colour"][:, :3] = np.rint(255.0 * gaussians.base_colours())
    out["colour"][:, 3] = np.rint(255.0 * gaussians.opacities())
    out["quat"] = np.rint(32767.0 * quats)
    out["scales"] = np.exp(np.minimum(gaussians.log_scales, np.log(LARGEST_HALF)))
    return out


def most_covering(gaussians: Gaussians, most: int) -> Gaussians:
    """The ``most`` Gaussians with the largest opacity times area, in their order."""
    if gaussians.size <= most:
        return gaussians
    area = np.exp(np.sort(gaussians.log_scales, axis=1)[:, 1:].sum(axis=1))
    chosen = np.argpartition(-gaussians.opacities() * area, most)[:most]
    return gaussians.take(np.sort(chosen))


def middle(gaussians: Gaussians, way: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """What to look at (3,), and from how far, metres: most of the Gaussians, and all of the way."""
    corners = [way.astype(np.float64)]
    if gaussians.size:
        corners.append(np.percentile(gaussians.means.astype(np.float64), [5.0, 95.0], axis=0))
    points = np.vstack(corners)
    if not len(points):
        return np.zeros(3), 10.0
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2.0, float(max(2.0, 0.8 * np.linalg.norm(high - low)))


def _text(name: str) -> str:
    return resources.files("mem4nav.cli").joinpath(name).read_text(encoding="utf-8")
