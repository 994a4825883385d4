# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A walk from above: what is walkable, the way that was asked for, the way that was gone, and the goal."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sim_envs.habitat.environment import HabitatEnvironment

_METRES_PER_PIXEL = 0.25
_LAYER_M = 0.8
_GROUND, _WALKABLE = 60, 215
_ASKED, _GONE, _GOAL, _START = (70, 110, 220), (220, 60, 40), (30, 150, 60), (20, 20, 20)
_MARGIN_M = 15.0


def topdown_png(environment: HabitatEnvironment) -> bytes:
    """North is up; blue is the reference, red the walk, the green circle success, the black dot the start."""
    path, episode = np.array(environment.path), environment.episode
    heights = np.concatenate([path[:, 2], episode.goals[:, 2], episode.reference[:, 2]])
    # A town slopes, and Habitat shows what is near one height only.
    layers = np.arange(heights.min(), heights.max() + _LAYER_M, _LAYER_M)
    views = [environment.simulator.topdown(_METRES_PER_PIXEL, float(height)) for height in layers]
    walkable, corner = np.any([cells for cells, _ in views], axis=0), views[0][1]
    picture = Image.fromarray(np.where(walkable, _WALKABLE, _GROUND).astype(np.uint8)).convert("RGB")
    draw = ImageDraw.Draw(picture)

    def pixels(points: NDArray[np.float64]) -> list[tuple[float, float]]:
        away = (points[:, :2] - corner) * [1.0, -1.0] / _METRES_PER_PIXEL
        return [(float(x), float(y)) for x, y in away]

    if len(episode.reference) > 1:
        draw.line(pixels(episode.reference), fill=_ASKED, width=3)
    draw.line(pixels(path), fill=_GONE, width=2)
    for centre, radius_m, colour in ((episode.goals, episode.radius_m, _GOAL), (path[:1], 1.0, _START)):
        radius = radius_m / _METRES_PER_PIXEL
        for x, y in pixels(centre):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=3)
    shown = np.array(pixels(np.concatenate([path, episode.goals, episode.reference])))
    margin = _MARGIN_M / _METRES_PER_PIXEL
    low, high = np.maximum(shown.min(axis=0) - margin, 0.0), shown.max(axis=0) + margin
    picture = picture.crop(
        (int(low[0]), int(low[1]), *(int(min(a, b)) for a, b in zip(high, picture.size, strict=True)))
    )
    out = io.BytesIO()
    picture.save(out, "png")
    return out.getvalue()
