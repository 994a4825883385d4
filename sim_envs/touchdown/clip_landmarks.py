# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Landmarks that CLIP finds in panoramas, as VELMA does it (Schumann et al. 2024), instead of those of a map.

One JSON object a line: {"pano": ..., "scores": {heading: {landmark: [five numbers]}}}. A number says by how many
standard deviations, over all panoramas that were seen in training, the landmark's cosine with the view lies above its
mean. The views look at -90, -45, 0, 45 and 90 degrees from the heading, which is that of a link.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mem4nav.environment import Sighting
from sim_envs.errors import PanoramaFeatureError
from sim_envs.street_graph import StreetGraph

VIEWS_DEG = (-90.0, -45.0, 0.0, 45.0, 90.0)
VISIBLE = 3.5
"""VELMA takes a landmark for visible from here on."""
NOMINAL_M = 15.0
"""CLIP does not tell how far away a landmark is: all are said to be this far."""


class ClipLandmarks:
    """Landmark source of a street graph.

    Args:
        path: file of scores. Panoramas that are not in the graph are passed over.
        graph: the panoramas that look.
        visible: least score of a landmark that is seen.

    Raises:
        PanoramaFeatureError: for a file that cannot be read, or a line of another form (with its number).
    """

    def __init__(self, path: str | Path, graph: StreetGraph, visible: float = VISIBLE) -> None:
        self._visible = visible
        self._graph = graph
        self._seen: dict[str, tuple[Sighting, ...]] = {}
        try:
            with open(path, encoding="utf-8") as file:
                for number, line in enumerate(file, start=1):
                    self._read(line, f"{path}, line {number}")
        except (OSError, UnicodeDecodeError) as error:
            raise PanoramaFeatureError(f"cannot read {path}: {error}") from None

    def sightings(self, number: int) -> tuple[Sighting, ...]:
        """What is visible from a panorama, surest first; nothing where it has no scores."""
        return self._seen.get(self._graph.places[number], ())

    def _read(self, line: str, where: str) -> None:
        try:
            row: dict[str, Any] = json.loads(line)
            self._seen[row["pano"]] = self._look(row["scores"])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise PanoramaFeatureError(f"{where}: {error!r} in {line[:80]!r}") from None

    def _look(self, scores: dict[str, dict[str, list[float]]]) -> tuple[Sighting, ...]:
        """Each landmark once, in the view that shows it best, whichever link's heading it was seen from."""
        best: dict[str, tuple[float, float]] = {}
        for heading, landmarks in scores.items():
            for name, views in landmarks.items():
                for score, view in zip(views, VIEWS_DEG, strict=True):
                    if score >= self._visible:
                        best[name] = max(best.get(name, (0.0, 0.0)), (float(score), (float(heading) + view) % 360.0))
        surest = sorted(best, key=lambda name: (-best[name][0], name))
        return tuple(Sighting(name, name, "", {"name": name}, best[name][1], NOMINAL_M) for name in surest)
