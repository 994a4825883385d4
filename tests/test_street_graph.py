# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Turning and walking on a street graph, and the environment round it."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation_worlds import NothingToSee
from mem4nav.environment import Action, Episode
from sim_envs.errors import EpisodeError, StreetGraphError
from sim_envs.street_environment import StreetEnvironment
from sim_envs.street_graph import Stand, StreetGraph
from sim_envs.street_routes import actions_along

FORWARD, LEFT, RIGHT, TURN_AROUND, STOP = Action


def graph_of(ways: dict[str, dict[str, float]], yaws: dict[str, float] | None = None) -> StreetGraph:
    """From {place: {neighbour: heading}}; positions do not matter here."""
    links = [(start, heading, end) for start, own in ways.items() for end, heading in own.items()]
    headings = [(yaws or {}).get(place, 0.0) for place in ways]
    return StreetGraph(list(ways), np.zeros((len(ways), 2)), links, headings)


def cross(angles: dict[str, float]) -> StreetGraph:
    """A place "middle" with a way to the south, whence one comes, and more at these angles."""
    ways = {"middle": {"south": 180.0, **angles}, "south": {"middle": 0.0}}
    return graph_of(ways | {end: {"middle": (angle + 180.0) % 360.0} for end, angle in angles.items()})


def arrive(graph: StreetGraph) -> Stand:
    return graph.move(graph.stand(graph.number("south"), 0.0), FORWARD)


def test_arriving_at_a_junction_one_faces_the_middle_way():
    graph = cross({"west": 270.0, "north": 20.0, "east": 90.0})
    assert arrive(graph).heading_deg == 20.0


def test_of_two_ways_in_the_middle_one_faces_the_straighter():
    graph = cross({"west": 270.0, "northwest": 340.0, "northeast": 50.0, "east": 90.0})
    assert arrive(graph).heading_deg == 340.0


def test_left_takes_the_first_way_from_the_way_back_and_right_the_last_however_sharp_they_are():
    graph = cross({"sharp left": 200.0, "slight right": 10.0, "right": 40.0})
    stand = arrive(graph)
    assert graph.move(stand, LEFT).heading_deg == 200.0
    assert graph.move(stand, RIGHT).heading_deg == 40.0


def test_the_way_back_is_the_one_come_by_even_if_another_lies_more_nearly_behind():
    # One comes from the south east on a way that bends: the way back leaves at 130 degrees, and another at 185.
    graph = graph_of(
        {
            "from": {"middle": 0.0},
            "middle": {"from": 130.0, "other": 185.0, "ahead": 0.0, "left": 270.0},
            "other": {"middle": 5.0}, "ahead": {"middle": 180.0}, "left": {"middle": 90.0},
        }
    )  # fmt: skip
    stand = graph.move(graph.stand(graph.number("from"), 0.0), FORWARD)
    assert stand.back_deg == 130.0
    assert graph.move(stand, LEFT).heading_deg == 185.0
    assert graph.move(stand, TURN_AROUND).heading_deg == 130.0


def test_on_a_street_left_and_right_take_the_next_way_by_angle():
    graph = graph_of({"a": {"b": 10.0}, "b": {"a": 190.0, "c": 30.0}, "c": {"b": 210.0}})
    stand = graph.stand(graph.number("b"), 30.0)
    assert graph.move(stand, LEFT).heading_deg == 190.0
    assert graph.move(stand, RIGHT).heading_deg == 190.0


def test_at_a_dead_end_one_faces_the_only_way_out():
    graph = graph_of({"a": {"b": 10.0}, "b": {"a": 190.0}})
    stand = graph.move(graph.stand(graph.number("a"), 10.0), FORWARD)
    assert stand.heading_deg == 190.0


def test_a_place_without_ways_cannot_be_left():
    graph = StreetGraph(["alone"], np.zeros((1, 2)), [])
    stand = graph.stand(0, 77.0)
    assert all(graph.move(stand, action) == stand for action in (FORWARD, LEFT, RIGHT, TURN_AROUND))


def test_an_episode_without_heading_starts_with_the_traffic():
    graph = graph_of({"a": {"b": 100.0, "c": 280.0}, "b": {"a": 280.0}, "c": {"a": 100.0}}, {"a": 250.0})
    seen = StreetEnvironment(graph, NothingToSee()).reset(Episode("1", "go", "a"))
    assert seen.heading_deg == 280.0
    assert seen.back_deg == 100.0


def test_every_action_counts_and_the_last_one_ends_the_episode():
    graph = graph_of({"a": {"b": 0.0}, "b": {"a": 180.0}})
    world = StreetEnvironment(graph, NothingToSee(), most_actions=3)
    world.reset(Episode("1", "go", "a", 0.0))
    assert [world.step(action)[1] for action in (LEFT, RIGHT, FORWARD)] == [False, False, True]
    with pytest.raises(EpisodeError, match="reset"):
        world.step(FORWARD)


def test_a_closed_street_is_seen_from_its_end_and_not_walked():
    graph = graph_of({"a": {"b": 0.0}, "b": {"a": 180.0}})
    world = StreetEnvironment(graph, NothingToSee())
    world.close_streets([(0, 1)])
    assert world.reset(Episode("1", "go", "a", 0.0)).blocked_deg == (0.0,)
    assert world.step(FORWARD)[0].place == "a"


def test_the_actions_along_a_route_lead_along_it():
    graph = cross({"west": 270.0, "north": 20.0, "east": 90.0})
    south = graph.stand(graph.number("south"), 0.0)
    assert actions_along(graph, south, ["south", "middle", "east"]) == [FORWARD, RIGHT, FORWARD]
    with pytest.raises(StreetGraphError, match="no way leads"):
        actions_along(graph, south, ["south", "east"])


def test_a_place_that_is_not_there_is_named():
    with pytest.raises(StreetGraphError, match="'nowhere'"):
        graph_of({"a": {}}).number("nowhere")
