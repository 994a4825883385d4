# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Navigation in the town: its places, what is seen from them, and directions taken at their word."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

pytest.importorskip("open3d")

from city_worlds import SMALL_TOWN, small_town
from mem4nav.environment import Action, Episode, Sighting
from sim_envs.city import CityConfig
from sim_envs.city.buildings import footprints
from sim_envs.city.navigation import DetectorConfig
from sim_envs.city.navigation.clauses import Clause, Reference, Verb
from sim_envs.city.navigation.detector import Detections
from sim_envs.city.navigation.follower import LiteralFollower
from sim_envs.city.navigation.phrasing import say
from sim_envs.city.navigation.routing import actions_along, shortest_m, stands_along, ways_from
from sim_envs.city.navigation.town import Town, make_town
from sim_envs.city.polygons import contains
from sim_envs.errors import SimConfigError
from sim_envs.street_environment import StreetEnvironment
from sim_envs.street_graph import StreetGraph


def town() -> Town:
    return make_town(SMALL_TOWN)


def number_of(sighting: Sighting) -> int:
    return int(sighting.id.removeprefix("thing-"))


def test_places_lie_about_ten_metres_apart_and_every_street_runs_both_ways() -> None:
    graph = town().graph
    for number in range(len(graph.places)):
        for neighbour in graph.neighbours(number):
            assert number in graph.neighbours(neighbour)
            assert 8.0 < np.linalg.norm(graph.positions[neighbour] - graph.positions[number]) < 12.0


def test_crossings_are_where_the_town_has_them() -> None:
    roads, plan = small_town().roads, town().plan
    assert roads is not None
    assert np.allclose(plan.graph.positions[: len(roads.nodes)], roads.nodes[:, :2])
    streets = np.bincount(roads.edges.ravel())
    assert [plan.is_crossing(number) for number in range(len(streets))] == (streets >= 3).tolist()


def test_nothing_is_seen_through_a_house() -> None:
    positions, lines = town().graph.positions, []
    for place, sightings in enumerate(town().truth.by_place):
        for sighting in sightings:
            thing = town().things[number_of(sighting)]
            away = thing.position_m + 0.3 * thing.facing - positions[place]
            lines.append(positions[place] + np.linspace(0.0, 0.95, 20)[:, None] * away)
    points = np.concatenate(lines)
    houses = np.array([contains(house, points) for house in footprints(small_town().buildings)])
    inside = houses.any(axis=0).reshape(len(lines), 20).sum(axis=1)
    # A look past a corner may reach a part of the front and not its middle.
    assert inside.max() <= 5
    assert (inside > 0).mean() < 0.02


def test_something_near_is_hidden_where_something_stands_before_it() -> None:
    positions = town().graph.positions
    near = sum(int((np.linalg.norm(positions - thing.position_m, axis=1) < 35.0).sum()) for thing in town().things)
    seen = sum(len(sightings) for sightings in town().truth.by_place)
    assert 0.5 * near < seen < 0.9 * near


def test_a_sign_is_read_from_near_and_from_before_it_alone() -> None:
    positions = town().graph.positions
    read = [
        (town().things[number_of(sighting)], positions[place])
        for place, sightings in enumerate(town().truth.by_place)
        for sighting in sightings
        if sighting.name
    ]
    assert len(read) > 50
    for thing, position in read:
        assert np.linalg.norm(thing.position_m - position) <= 25.0
        assert (position - thing.position_m) @ thing.facing > 0.0


def test_sightings_say_where_the_thing_is_and_what_it_is_tagged_as() -> None:
    for place, sightings in enumerate(town().truth.by_place):
        for sighting in sightings:
            thing, angle = town().things[number_of(sighting)], math.radians(sighting.bearing_deg)
            away = sighting.distance_m * np.array([math.sin(angle), math.cos(angle)])
            assert np.allclose(town().graph.positions[place] + away, thing.position_m)
            assert sighting.category == thing.category in sighting.tags.values()
            assert sighting.tags.get("name", "") == sighting.name


def test_the_detector_errs_about_as_often_as_it_says() -> None:
    eye = DetectorConfig(missed=0.3, miscoloured=0.4)
    noisy = make_town(SMALL_TOWN, eye)
    true = [sighting for place in noisy.truth.by_place for sighting in place]
    told = [sighting for place in noisy.detections.by_place for sighting in place]
    coloured = [one for one in told if "colour" in one.tags]
    wrong = [one for one in coloured if one.tags["colour"] != noisy.things[number_of(one)].colour]
    assert len(told) / len(true) == pytest.approx(0.7, abs=0.07)
    assert len(wrong) / len(coloured) == pytest.approx(0.4, abs=0.08)


def test_a_detector_without_errors_tells_the_truth() -> None:
    assert make_town(SMALL_TOWN, DetectorConfig().perfect()).detections == town().truth


def test_the_detector_is_given_shares_that_are_shares() -> None:
    with pytest.raises(SimConfigError, match=r"missed is 1\.5"):
        DetectorConfig(missed=1.5)


def test_a_town_with_nothing_to_name_is_told() -> None:
    with pytest.raises(SimConfigError, match="neither shops nor furniture"):
        make_town(CityConfig(seed=5, streets=2, shop_share=0.0, furniture=False))


def test_the_fewest_actions_lead_there_and_closed_streets_are_gone_round() -> None:
    graph, section = town().graph, town().plan.sections[0]
    start = graph.stand(section[0], 0.0)
    way = ways_from(graph, start)[section[-1]]
    assert stands_along(graph, start, way)[-1].number == section[-1]
    closed = {(section[0], section[1])}
    round_it = ways_from(graph, start, closed=closed)[section[-1]]
    visited = [stand.number for stand in stands_along(graph, start, round_it)]
    assert section[1] not in visited and len(round_it) > len(way)
    assert shortest_m(graph, section[0], section[-1], closed) > shortest_m(graph, section[0], section[-1])


def test_a_walk_over_given_places_visits_them_in_order() -> None:
    graph, section = town().graph, town().plan.sections[3]
    start = graph.stand(section[2], 123.0)
    there_and_back = [*section[3:], *section[-2:0:-1]]
    stands = stands_along(graph, start, actions_along(graph, start, there_and_back))
    walked = [stand.number for stand in stands]
    assert [b for a, b in itertools.pairwise(walked) if a != b] == there_and_back


BAKERY = Sighting("thing-1", "Old Oak Bakery", "bakery", {"shop": "bakery", "colour": "blue"}, 0.0, 0.0)
HYDRANT = Sighting("thing-2", "", "fire_hydrant", {"emergency": "fire_hydrant"}, 0.0, 0.0)


def ladder() -> tuple[StreetGraph, Detections]:
    """A street north, a crossing every 40 m; a bakery on its right at 60 m, a hydrant on the third crossing's left."""
    spots = {f"n{k}": (0.0, 10.0 * k) for k in range(17)}
    for rung in (4, 8, 12):
        spots |= {f"w{rung}-{k}": (-10.0 * k, 10.0 * rung) for k in range(1, 4)}
        spots |= {f"e{rung}-{k}": (10.0 * k, 10.0 * rung) for k in range(1, 4)}
    links = []
    for a, (ax, ay) in spots.items():
        for b, (bx, by) in spots.items():
            joined = ax == bx == 0.0 or (ay == by and ay in (40.0, 80.0, 120.0))
            if joined and abs(ax - bx) + abs(ay - by) == 10.0:
                links.append((a, math.degrees(math.atan2(bx - ax, by - ay)), b))
    graph = StreetGraph(list(spots), np.array(list(spots.values())), links)
    return graph, Detections(tuple(_look(*spot) for spot in spots.values()))


def _look(east: float, north: float) -> tuple[Sighting, ...]:
    seen = []
    for thing, (x, y) in ((BAKERY, (9.0, 62.0)), (HYDRANT, (-21.0, 127.0))):
        distance = math.hypot(x - east, y - north)
        if distance < 35.0:
            bearing = math.degrees(math.atan2(x - east, y - north)) % 360.0
            seen.append(Sighting(thing.id, thing.name, thing.category, thing.tags, bearing, distance))
    return tuple(seen)


def end_of_walk(*clauses: Clause, most_actions: int = 55) -> str:
    environment = StreetEnvironment(*ladder(), most_actions)
    seen, done = environment.reset(Episode("", "", "n0", 0.0)), False
    follower = LiteralFollower(clauses)
    while not done:
        seen, done = environment.step(follower.act(seen))
    return seen.place


STOP_BY_HYDRANT = Clause(Verb.STOP, landmark=Reference("fire_hydrant"))


def test_crossings_are_counted_from_the_start_or_from_what_is_passed() -> None:
    third = Clause(Verb.TURN, Action.LEFT, 3)
    after = Clause(Verb.TURN, Action.LEFT, 2, Reference("bakery", colour="blue"))
    assert end_of_walk(third, STOP_BY_HYDRANT) == end_of_walk(after, STOP_BY_HYDRANT) == "w12-2"


def test_what_is_on_the_other_side_is_not_meant() -> None:
    right = Clause(Verb.STOP, landmark=Reference("bakery"), side=Action.RIGHT)
    left = Clause(Verb.STOP, landmark=Reference("bakery"), side=Action.LEFT)
    assert end_of_walk(right, most_actions=12) == "n6"
    assert end_of_walk(left, most_actions=12) == "n12"


INSTRUCTION = (
    Clause(Verb.TURN_AROUND),
    Clause(Verb.TURN, Action.LEFT, 2, Reference("bakery", colour="blue"), Action.RIGHT),
    Clause(Verb.STOP, None, 1, Reference("fire_hydrant")),
)


def test_the_same_directions_are_said_in_many_ways_and_no_two_seeds_need_agree() -> None:
    said = {say(INSTRUCTION, np.random.default_rng(seed)) for seed in range(300)}
    assert len(said) > 290
    assert say(INSTRUCTION, np.random.default_rng(7)) == say(INSTRUCTION, np.random.default_rng(7))


def test_every_wording_says_what_matters() -> None:
    for seed in range(300):
        said = say(INSTRUCTION, np.random.default_rng(seed))
        assert all(word in said for word in ("bakery", "blue", "left", "right", "second", "hydrant")), said
        assert said[0].isupper() and said.endswith(".") and "{" not in said and ".." not in said


def test_what_was_seen_before_is_called_so() -> None:
    bank, bench = Reference("bank"), Reference("bench", beside=Reference("bar", name="Ivy Bar"))
    for seed in range(100):
        rng = np.random.default_rng(seed)
        said = say((Clause(Verb.RETURN, landmark=bank),), rng)
        assert any(hint in said for hint in ("passed", "earlier", "came by", "before", "on the way")), said
        assert "Ivy Bar" in say((Clause(Verb.RETURN, landmark=bench),), rng)
