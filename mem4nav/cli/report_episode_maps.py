# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Two drawings of an episode from above: the ways that were walked, and what is remembered of them."""

from __future__ import annotations

import itertools

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mem4nav.cli.demo_episode import Episode
from mem4nav.cli.report_plots import AMBER, BLUE, INK, MUTED, TRUTH, chart, legend_above
from sim_envs.city.navigation import LegKind
from sim_envs.city.navigation.town import Town

LEG_COLORS = ("#8d5a97", BLUE, "#3f9470", AMBER)
ASIDE_M = 1.6
"""Ways along the same street are drawn so far beside each other."""
_KINDS = {LegKind.GUIDED: "led", LegKind.DIRECTIONS: "directions", LegKind.MEMORY: "from memory"}


def way_map(episode: Episode) -> str:
    """Streets, the way of each leg, and its goal, as SVG."""
    positions, number = episode.town.graph.positions, episode.town.graph.number
    with chart("episode-ways", 5.6, 5.2) as drawing:
        _streets(drawing.axes, episode.town)
        for leg, (errand, color) in enumerate(zip(episode.errands, itertools.cycle(LEG_COLORS)), start=1):
            way = positions[[number(place) for place in errand.prediction.panos]]
            label = f"{leg}: {_KINDS[errand.leg]}"
            drawing.axes.plot(*_aside(way, ASIDE_M * leg).T, color=color, linewidth=1.8, label=label)
            if len(way):
                drawing.axes.plot(*way[-1], "o", color=color, markersize=5.0)
            goal = positions[number(episode.task.legs[leg - 1].goal)]
            drawing.axes.plot(*goal, "s", markerfacecolor="none", markeredgecolor=color, markersize=11.0)
        legend_above(drawing.axes)
    return drawing.svg


def memory_map(episode: Episode) -> str:
    """Topology graph and remembered landmarks, as SVG."""
    graph = episode.memory.graph
    with chart("episode-memory", 5.6, 5.2) as drawing:
        axes = drawing.axes
        _streets(axes, episode.town)
        ends = np.array(list(graph.edges), int).reshape(-1, 2)
        lines = np.full((len(ends), 3, 2), np.nan)
        lines[:, 0], lines[:, 1] = graph.positions[ends[:, 0], :2], graph.positions[ends[:, 1], :2]
        axes.plot(*lines.reshape(-1, 2).T, color=INK, linewidth=1.2, label=f"{len(ends)} ways")
        axes.plot(*graph.positions[:, :2].T, "o", color=INK, markersize=3.2, label=f"{len(graph)} places")
        seen = episode.memory.in_box(np.full(3, -1e5), np.full(3, 1e5))
        spots = np.array([hit.position[:2] for hit in seen]).reshape(-1, 2)
        axes.plot(*spots.T, ".", color=AMBER, markersize=4.0, alpha=0.7, label=f"{len(seen)} sightings")
        legend_above(axes)
    return drawing.svg


def _streets(axes: Axes, town: Town) -> None:
    for section in town.plan.sections:
        axes.plot(*town.graph.positions[list(section)].T, color=TRUTH, linewidth=5.0, alpha=0.35)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("east, m", color=MUTED)
    axes.set_ylabel("north, m", color=MUTED)


def _aside(way: NDArray[np.float64], metres: float) -> NDArray[np.float64]:
    """The way moved to its right."""
    along = np.gradient(way, axis=0) if len(way) > 1 else np.zeros_like(way)
    right = np.stack([along[:, 1], -along[:, 0]], axis=1)
    return way + metres * right / np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-9)
