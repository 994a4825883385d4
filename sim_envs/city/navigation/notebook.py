# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What somebody who forgets nothing knows of a town: the streets walked, and everything seen on them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from mem4nav.environment import Action, Observation, Sighting
from sim_envs.city.navigation.clauses import Reference
from sim_envs.city.navigation.routing import ways_from
from sim_envs.street_graph import StreetGraph


@dataclass(slots=True)
class Seen:
    """One thing, from all its sightings.

    Attributes:
        category: of its main tag.
        names: how often each name was read.
        colours: how often each colour was seen.
        positions: (east, north) by each sighting.
    """

    category: str
    names: Counter[str] = field(default_factory=Counter)
    colours: Counter[str] = field(default_factory=Counter)
    positions: list[tuple[float, float]] = field(default_factory=list)

    def add(self, sighting: Sighting, position_m: tuple[float, float]) -> None:
        """One more sighting, from this position."""
        angle = math.radians(sighting.bearing_deg)
        away = (sighting.distance_m * math.sin(angle), sighting.distance_m * math.cos(angle))
        self.positions.append((position_m[0] + away[0], position_m[1] + away[1]))
        if sighting.name:
            self.names[sighting.name] += 1
        if "colour" in sighting.tags:
            self.colours[sighting.tags["colour"]] += 1

    @property
    def position_m(self) -> np.ndarray:
        """(2,) median of where the sightings put it."""
        return np.median(self.positions, axis=0)

    def fits(self, reference: Reference) -> bool:
        """Whether it may be what is meant, going by what it was taken for most often."""
        return reference.fits(self.category, _most(self.names), _most(self.colours))


class Notebook:
    """Places, ways and things, written down as they are seen; ways not walked are known by their heading."""

    def __init__(self) -> None:
        self.start = ""
        self.things: dict[str, Seen] = {}
        self._last: Observation | None = None
        self._places: dict[str, Observation] = {}
        self._ways: dict[tuple[str, float], str] = {}
        self._closed: set[tuple[str, float]] = set()

    def carried(self) -> None:
        """What is seen next was not walked to."""
        self._last = None

    def note(self, seen: Observation) -> bool:
        """Write down what is seen, and how one came here; whether place or closures are news."""
        self.start = self.start or seen.place
        new_place = seen.place not in self._places
        if new_place:
            for sighting in seen.landmarks:
                self.things.setdefault(sighting.id, Seen(sighting.category)).add(sighting, seen.position_m)
        if self._last is not None and self._last.place != seen.place:
            self._ways[self._last.place, self._last.heading_deg] = seen.place
            self._ways[seen.place, seen.back_deg] = self._last.place
        closed = {way for way in self._closed if way[0] != seen.place}
        closed |= {(seen.place, heading) for heading in seen.blocked_deg}
        news = new_place or closed != self._closed
        self._closed = closed
        self._places[seen.place] = self._last = seen
        return news

    def find(self, reference: Reference) -> Seen | None:
        """The thing that is meant; None where nothing like it was seen."""
        fitting = [thing for thing in self.things.values() if thing.fits(reference)]
        if reference.beside is not None:
            shop = self.find(reference.beside)
            if shop is None:
                return None
            fitting.sort(key=lambda thing: float(np.linalg.norm(thing.position_m - shop.position_m)))
        return fitting[0] if fitting else None

    def nearest_place(self, position_m: np.ndarray) -> tuple[str, float]:
        """The known place nearest to a position, and how far that is."""
        names = list(self._places)
        away = np.linalg.norm(np.array([self._places[name].position_m for name in names]) - position_m, axis=1)
        nearest = int(away.argmin())
        return names[nearest], float(away[nearest])

    def way_to(self, place: str, here: Observation) -> tuple[Action, ...] | None:
        """The fewest actions over known open ways; None where there is no such way."""
        return self._ways_from(here).get(place)

    def way_into_the_unknown(self, here: Observation) -> tuple[Action, ...] | None:
        """The fewest actions that end on a way never walked; None where all are known."""
        return next((way for name, way in self._ways_from(here).items() if name not in self._places), None)

    def _ways_from(self, here: Observation) -> dict[str, tuple[Action, ...]]:
        """By place, nearest first; each way not walked leads to a place of its own, from which nothing is known."""
        links = []
        for name, seen in self._places.items():
            for heading in seen.ways_deg:
                links.append((name, heading, self._ways.get((name, heading), f"{name}>{heading:.0f}")))
        names = list(dict.fromkeys([*self._places, *(target for _, _, target in links)]))
        graph = StreetGraph(names, np.zeros((len(names), 2)), links)
        barred = [(graph.number(a), graph.number(b)) for a, heading, b in links if (a, heading) in self._closed]
        closed = {*barred, *((b, a) for a, b in barred)}
        start = graph.stand(graph.number(here.place), here.heading_deg)
        ways = ways_from(graph, start, closed=closed)
        return {names[number]: way for number, way in ways.items()}


def _most(counts: Counter[str]) -> str:
    return counts.most_common(1)[0][0] if counts else ""
