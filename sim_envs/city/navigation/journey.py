# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Where somebody has been in a town and what there was to see, and how that can be referred to later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mem4nav.environment import Sighting
from sim_envs.city.navigation.clauses import Reference
from sim_envs.city.navigation.routing import Link, links_of
from sim_envs.city.navigation.town import Town
from sim_envs.city.navigation.visibility import Thing

_LEAST_VIEWS = 2
_BESIDE_M = 15.0
_ALONE_M = 30.0
_LIGHTS = "traffic_signals"


class Journey:
    """All that was walked in a town so far: who remembers it can use it.

    Args:
        town: where.
        start: the place where the first walk began.
    """

    def __init__(self, town: Town, start: int) -> None:
        self.town = town
        self.start = start
        self.links: set[Link] = set()
        self._places: set[int] = set()

    def add(self, places: Sequence[int]) -> None:
        """A walk over these places."""
        self._places.update(places)
        self.links |= links_of(places)

    def references(self) -> dict[int, list[Reference]]:
        """For each thing that may be a goal, how it can be referred to without doubt.

        It was detected from two places or more, and the street before it was walked; at crossings and corners,
        which belong to more streets than one, no goal is set. A name was read; a colour was seen right more often
        than wrong, and no second thing in the town has kind and colour; a kind alone is enough where no other of
        it could be seen on the way; furniture is the only one of its kind by a shop.
        """
        detected: dict[int, list[Sighting]] = {}
        possible: set[int] = set()
        for place in sorted(self._places):
            possible |= {number_of(sighting) for sighting in self.town.truth.sightings(place)}
            for sighting in self.town.detections.sightings(place):
                detected.setdefault(number_of(sighting), []).append(sighting)
        kinds = Counter(self.town.things[number].category for number in possible)
        named = {number for number, views in detected.items() if any(view.name for view in views)}
        found = {}
        for number, views in detected.items():
            thing = self.town.things[number]
            before_it = thing.place in self._places and not self.town.plan.is_end(thing.place)
            if len(views) >= _LEAST_VIEWS and before_it and thing.category != _LIGHTS:
                alone = [Reference(thing.category)] if kinds[thing.category] == 1 else []
                found[number] = alone + (self._shop(thing, views) if thing.is_shop else self._furniture(thing, named))
        return {number: references for number, references in found.items() if references}

    def _shop(self, thing: Thing, views: list[Sighting]) -> list[Reference]:
        references = []
        if any(view.name for view in views):
            references.append(Reference(thing.category, name=thing.name))
        like = [other for other in self.town.things if (other.category, other.colour) == (thing.category, thing.colour)]
        right = sum(view.tags.get("colour") == thing.colour for view in views)
        if len(like) == 1 and 2 * right > len(views):
            references.append(Reference(thing.category, colour=thing.colour))
        return references

    def _furniture(self, thing: Thing, named: set[int]) -> list[Reference]:
        shops = [self.town.things[number] for number in sorted(named)]
        like = [other for other in self.town.things if other.category == thing.category and other is not thing]
        return [
            Reference(thing.category, beside=Reference(shop.category, name=shop.name))
            for shop in shops
            if _apart(thing, shop) < _BESIDE_M and all(_apart(other, shop) > _ALONE_M for other in like)
        ]


def number_of(sighting: Sighting) -> int:
    """Which of the town's things a sighting is of."""
    return int(sighting.id.removeprefix("thing-"))


def _apart(one: Thing, other: Thing) -> float:
    return float(np.linalg.norm(one.position_m - other.position_m))
