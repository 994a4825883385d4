# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Walking a street graph under the common environment protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mem4nav.environment import Action, Episode, Observation, Sighting
from sim_envs.errors import EpisodeError
from sim_envs.street_graph import Stand, StreetGraph

MOST_ACTIONS = 55


class LandmarkSource(Protocol):
    """Where an environment takes what can be seen from: OpenStreetMap, a detector, CLIP scores of panoramas."""

    def sightings(self, number: int) -> tuple[Sighting, ...]:
        """What is visible from the place with this number in the street graph."""
        ...


class StreetEnvironment:
    """Episodes on a street graph.

    Args:
        graph: the streets.
        landmarks: what can be seen from each place.
        most_actions: every action counts, turns and the stop too; the last one ends the episode.
    """

    def __init__(self, graph: StreetGraph, landmarks: LandmarkSource, most_actions: int = MOST_ACTIONS) -> None:
        self.graph = graph
        self.landmarks = landmarks
        self.most_actions = most_actions
        self._stand = Stand(0, 0.0, 180.0)
        self._steps = 0
        self._done = True
        self._closed: frozenset[tuple[int, int]] = frozenset()

    def close_streets(self, links: Iterable[tuple[int, int]]) -> None:
        """Close these directed links (from, to): nobody walks them, and who stands before one sees it closed."""
        self._closed = frozenset(links)

    def reset(self, episode: Episode) -> Observation:
        """Go to the episode's start and look.

        Raises:
            StreetGraphError: where the start is not a place of this graph.
        """
        self._stand = self.graph.stand(self.graph.number(episode.start), episode.start_heading_deg)
        self._steps = 0
        self._done = False
        return self._observe()

    def step(self, action: Action) -> tuple[Observation, bool]:
        """Act; what is seen then, and whether the episode is over.

        Raises:
            EpisodeError: when no episode is running.
        """
        if self._done:
            raise EpisodeError(f"{action.value} after the episode's end: reset the environment first")
        if not (action is Action.FORWARD and self._closed_ahead()):
            self._stand = self.graph.move(self._stand, action)
        self._steps += 1
        self._done = action is Action.STOP or self._steps >= self.most_actions
        return self._observe(), self._done

    def _closed_ahead(self) -> bool:
        way = self.graph.way_ahead(self._stand)
        return way is not None and (self._stand.number, way.target) in self._closed

    def _observe(self) -> Observation:
        at = self._stand.number
        east, north = self.graph.positions[at]
        closed = [way.heading_deg for way in self.graph.ways[at] if (at, way.target) in self._closed]
        return Observation(
            place=self.graph.places[at],
            position_m=(float(east), float(north)),
            heading_deg=self._stand.heading_deg,
            back_deg=self._stand.back_deg,
            ways_deg=self.graph.headings_deg[at],
            landmarks=self.landmarks.sightings(at),
            blocked_deg=tuple(closed),
            steps=self._steps,
        )
