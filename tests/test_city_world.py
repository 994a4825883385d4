# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The town: streets, houses, furniture, and that nothing stands in the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("open3d")

from city_worlds import SHORT, SMALL_TOWN, short_drive, small_corridor, small_town
from sim_envs.city import CityConfig, make_city, simulate_drive
from sim_envs.city.buildings import footprints
from sim_envs.city.polygons import contains, outline_distance, rectangles_overlap
from sim_envs.city.routes import loops
from sim_envs.errors import SimConfigError


def test_the_same_seed_builds_the_same_town_and_another_seed_another() -> None:
    again, other = make_city(SMALL_TOWN), make_city(CityConfig(seed=6, streets=3))
    assert again.mesh.vertices.tobytes() == small_town().mesh.vertices.tobytes()
    assert again.mesh.colour.tobytes() == small_town().mesh.colour.tobytes()
    assert other.mesh.vertices.shape != small_town().mesh.vertices.shape


def test_houses_do_not_stand_in_each_other_nor_in_a_street() -> None:
    houses = footprints(small_town().buildings)
    graph = small_town().roads
    assert len(houses) > 30
    for i, house in enumerate(houses):
        assert not any(rectangles_overlap(house, other, -0.01) for other in houses[i + 1 :])
    for (a, b), width in zip(graph.edges, graph.widths, strict=True):
        line = graph.nodes[a, :2] + (graph.nodes[b] - graph.nodes[a])[:2] * np.linspace(0, 1, 40)[:, None]
        for house in houses:
            assert outline_distance(house, line).min() > 0.5 * width


def test_shops_have_names_of_their_own_and_a_place_on_a_street() -> None:
    shops = [mark for mark in small_town().roads.landmarks if mark.colour not in ("", "red", "blue", "brown")]
    names = [mark.name for mark in shops]
    assert len(names) == len(set(names)) > 5
    assert all(0 <= mark.edge < len(small_town().roads.edges) for mark in shops)


def test_a_direction_can_mention_furniture_too() -> None:
    kinds = {mark.kind for mark in small_town().roads.landmarks}
    assert {"traffic light", "hydrant", "bench"} <= kinds


def test_the_ground_is_not_one_flat_plane() -> None:
    heights = small_town().roads.nodes[:, 2]
    assert np.ptp(heights) > 0.5


def test_slopes_are_the_derivative_of_the_heights() -> None:
    terrain, step = small_town().terrain, 1e-4
    x, y = np.array([3.0, -70.0, 41.0]), np.array([9.0, 15.0, -88.0])
    east = (terrain.height(x + step, y) - terrain.height(x - step, y)) / (2 * step)
    north = (terrain.height(x, y + step) - terrain.height(x, y - step)) / (2 * step)
    np.testing.assert_allclose(terrain.gradient(x, y), np.stack([east, north], axis=1), atol=1e-8)


def test_every_street_can_be_reached_from_every_other() -> None:
    graph = small_town().roads
    reached, fresh = {0}, {0}
    while fresh:
        fresh = {int(b if a in fresh else a) for a, b in graph.edges if (a in fresh) != (b in fresh)} - reached
        reached |= fresh
    assert len(reached) == len(graph.nodes)
    assert loops(graph)


def test_the_corridor_is_longer_than_twice_the_range_and_closed_at_both_ends() -> None:
    caster = small_corridor().static
    ahead = caster.cast(np.array([0.0, 0.0, 1.5]), np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])).distance
    assert ahead.sum() > 200.0
    assert np.isfinite(ahead).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_vehicle_passes_no_wall_no_parked_car_and_nothing_that_moves(seed: int) -> None:
    drive = simulate_drive(small_town(), replace(SHORT, seed=seed))
    time = np.arange(0.0, drive.duration_s, 0.1)
    rotation, position = drive.motion.pose(time)
    ahead, left = rotation[:, :2, 0], rotation[:, :2, 1]
    length, half = np.array([-1.0, 3.4]), 0.9
    corners = np.stack([position[:, :2] + a * ahead + b * left for a, b in _rectangle(length, half)], axis=1)
    houses = footprints(drive.world.buildings)
    for k, outline in enumerate(corners):
        near = np.linalg.norm(houses.mean(axis=1) - position[k, :2], axis=1) < 20.0
        assert not any(rectangles_overlap(outline, house) for house in houses[near])
        for box in drive.boxes(float(time[k])):
            if np.linalg.norm(box.centre[:2] - position[k, :2]) < 9.0:
                assert not rectangles_overlap(outline, _outline(box)), (box.kind, time[k])


def test_pedestrians_keep_to_the_sidewalks() -> None:
    drive = short_drive()
    for time in np.linspace(0.0, drive.duration_s, 12):
        for box in drive.boxes(float(time)):
            if box.kind == "pedestrian":
                assert not _on_a_street(drive.world.roads, box.centre[:2])


def test_a_town_that_cannot_be_is_refused_with_the_number() -> None:
    with pytest.raises(SimConfigError, match="1"):
        CityConfig(streets=1)


def _rectangle(length: np.ndarray, half: float) -> list[tuple[float, float]]:
    return [(length[0], -half), (length[1], -half), (length[1], half), (length[0], half)]


def _outline(box) -> np.ndarray:
    c, s = np.cos(box.yaw), np.sin(box.yaw)
    corners = np.array(_rectangle(np.array([-0.5, 0.5]) * box.size[0], 0.5 * box.size[1]))
    return corners @ np.array([[c, s], [-s, c]]) + box.centre[:2]


def _on_a_street(graph, place: np.ndarray) -> bool:
    for (a, b), width in zip(graph.edges, graph.widths, strict=True):
        start, along = graph.nodes[a, :2], (graph.nodes[b] - graph.nodes[a])[:2]
        left = np.array([-along[1], along[0]]) / np.linalg.norm(along) * 0.5 * width
        strip = np.array([start - left, start + along - left, start + along + left, start + left])
        if contains(strip, place)[0]:
            return True
    return False
