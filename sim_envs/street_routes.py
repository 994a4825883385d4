# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The actions that walk a given route: what an agent learns from."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from mem4nav.environment import Action
from sim_envs.errors import StreetGraphError
from sim_envs.street_graph import Stand, StreetGraph

_TURNS = (Action.LEFT, Action.RIGHT, Action.TURN_AROUND)


def actions_along(graph: StreetGraph, stand: Stand, route: Sequence[str]) -> list[Action]:
    """The fewest actions from ``stand`` along the places of a route, without the stop at its end.

    Raises:
        StreetGraphError: where two places that follow each other are not linked.
    """
    actions: list[Action] = []
    for place in route[1:]:
        leg = _leg(graph, stand, graph.number(place))
        if leg is None:
            raise StreetGraphError(f"no way leads from {graph.places[stand.number]} to {place}, the next on its route")
        turns, stand = leg
        actions += [*turns, Action.FORWARD]
    return actions


def _leg(graph: StreetGraph, stand: Stand, target: int) -> tuple[tuple[Action, ...], Stand] | None:
    """The turns after which ``forward`` leads to a neighbour, and how one stands there."""
    waiting: deque[tuple[Stand, tuple[Action, ...]]] = deque([(stand, ())])
    tried = {stand}
    while waiting:
        at, turns = waiting.popleft()
        after = graph.move(at, Action.FORWARD)
        if after.number == target:
            return turns, after
        for turn in _TURNS:
            turned = graph.move(at, turn)
            if turned not in tried:
                tried.add(turned)
                waiting.append((turned, (*turns, turn)))
    return None
