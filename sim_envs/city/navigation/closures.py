# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Streets that close between two walks, so that the way known best no longer leads there."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from mem4nav.environment import Action
from sim_envs.city.navigation.clauses import Reference
from sim_envs.city.navigation.journey import Journey
from sim_envs.city.navigation.legs import FEWEST_ACTIONS, MOST_ACTIONS, choose, end_of, enough_actions
from sim_envs.city.navigation.routing import Link, stands_along, ways_from
from sim_envs.street_graph import Stand

_TRIES = 30
_SECOND_WALK = range(8, 41)


@dataclass(frozen=True, slots=True)
class Detour:
    """An errand past a closed street.

    Attributes:
        closed: the link into the section, and out of it, at the end where the barrier stands.
        shown: the actions of a second walk, which leads past the closure to where the errand begins.
        goal: number of the place to go to.
        reference: what stands there.
        way: the fewest actions over streets walked before, round the closure; without the stop.
    """

    closed: frozenset[Link]
    shown: tuple[Action, ...]
    goal: int
    reference: Reference
    way: tuple[Action, ...]


def find_detour(journey: Journey, start: Stand, rng: np.random.Generator) -> Detour | None:
    """A closure, and an errand that fails whoever has forgotten it; None where many tries gave none.

    The best way that is known leads up to the closed end that the second walk has shown. Who turns back there has
    too few actions left.
    """
    graph, references = journey.town.graph, journey.references()
    sections = [section for section in journey.town.plan.sections if _walked(section, journey.links)]
    for _ in range(_TRIES if sections else 0):
        section = sections[int(rng.integers(len(sections)))]
        section = section if rng.random() < 0.5 else section[::-1]
        closed = frozenset({(section[0], section[1]), (section[1], section[0])})
        shown = _second_walk(journey, start, section[0], closed, rng)
        if shown is None:
            continue
        ways = _ways_that_need_it(journey, end_of(graph, start, shown), (section[0], section[1]), closed)
        goals = {number: of for number, of in references.items() if journey.town.things[number].place in ways}
        if goals:
            number, reference = choose(goals, rng)
            place = journey.town.things[number].place
            return Detour(closed, shown, place, reference, ways[place])
    return None


def _walked(section: tuple[int, ...], links: set[Link]) -> bool:
    return all(link in links for link in itertools.pairwise(section))


def _second_walk(
    journey: Journey, start: Stand, crossing: int, closed: frozenset[Link], rng: np.random.Generator
) -> tuple[Action, ...] | None:
    """Over known streets to the closed end, and from there away to some place that is known, too."""
    graph = journey.town.graph
    to = ways_from(graph, start, journey.links, closed).get(crossing)
    if to is None:
        return None
    onward = ways_from(graph, stands_along(graph, start, to)[-1], journey.links, closed)
    ends = sorted(
        place for place, way in onward.items() if len(way) in _SECOND_WALK and not journey.town.plan.is_end(place)
    )
    return to + onward[ends[int(rng.integers(len(ends)))]] if ends else None


def _ways_that_need_it(
    journey: Journey, start: Stand, barrier: Link, closed: frozenset[Link]
) -> dict[int, tuple[Action, ...]]:
    """The known open ways to places that are out of reach, within the limit, for who first walks up to the barrier."""
    graph = journey.town.graph
    hoped = ways_from(graph, start, journey.links)
    known = ways_from(graph, start, journey.links, closed)
    ways_back: dict[Stand, dict[int, tuple[Action, ...]]] = {}
    needed = {}
    for place, way in known.items():
        stands = stands_along(graph, start, hoped[place])
        links = [(stand.number, after.number) for stand, after in itertools.pairwise(stands)]
        if not FEWEST_ACTIONS <= len(way) < MOST_ACTIONS or barrier not in links:
            continue
        turned_back = links.index(barrier)
        before_it = stands[turned_back]
        if before_it not in ways_back:
            ways_back[before_it] = ways_from(graph, before_it, journey.links, closed)
        if turned_back + len(ways_back[before_it][place]) + 1 > enough_actions((*way, Action.STOP)):
            needed[place] = way
    return needed
