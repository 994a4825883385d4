# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Ways through a street graph, in actions."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Container, Iterable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from mem4nav.environment import Action
from sim_envs.street_graph import Stand, StreetGraph

Link = tuple[int, int]
_MOVES = (Action.FORWARD, Action.LEFT, Action.RIGHT, Action.TURN_AROUND)


def ways_from(
    graph: StreetGraph, start: Stand, allowed: Container[Link] | None = None, closed: Container[Link] = ()
) -> dict[int, tuple[Action, ...]]:
    """The fewest actions from a stand to every place that can be reached over allowed links that are not closed."""
    ways: dict[int, tuple[Action, ...]] = {start.number: ()}
    reached = {start}
    queue: deque[tuple[Stand, tuple[Action, ...]]] = deque([(start, ())])
    while queue:
        stand, taken = queue.popleft()
        for action in _MOVES:
            after = graph.move(stand, action)
            link = (stand.number, after.number)
            barred = action is Action.FORWARD and (link in closed or (allowed is not None and link not in allowed))
            if not barred and after not in reached:
                reached.add(after)
                ways.setdefault(after.number, (*taken, action))
                queue.append((after, (*taken, action)))
    return ways


def actions_along(graph: StreetGraph, start: Stand, places: Iterable[int]) -> tuple[Action, ...]:
    """The actions that lead from a stand over these places, each one hop from the one before."""
    stand, taken = start, ()
    for place in places:
        hop = ways_from(graph, stand, allowed={(stand.number, place)})[place]
        stand = stands_along(graph, stand, hop)[-1]
        taken += hop
    return taken


def stands_along(graph: StreetGraph, start: Stand, actions: Sequence[Action]) -> list[Stand]:
    """The start, and the stand after each action."""
    stands = [start]
    for action in actions:
        stands.append(graph.move(stands[-1], action))
    return stands


def links_of(places: Sequence[int]) -> set[Link]:
    """The links between places that follow one another, in both directions."""
    pairs = [(a, b) for a, b in itertools.pairwise(places) if a != b]
    return {*pairs, *((b, a) for a, b in pairs)}


def shortest_m(graph: StreetGraph, start: int, goal: int, closed: Container[Link] = ()) -> float:
    """Length of the shortest way from place to place over links that are not closed; inf where there is none."""
    links = [(a, b) for a in range(len(graph.places)) for b in graph.neighbours(a) if (a, b) not in closed]
    a, b = np.array(links).T
    length = np.linalg.norm(graph.positions[b] - graph.positions[a], axis=1)
    matrix = coo_array((length, (a, b)), shape=(len(graph.places),) * 2).tocsr()
    return float(dijkstra(matrix, indices=start)[goal])
