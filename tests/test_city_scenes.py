# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Labelled scenes of the town: boxes that hold what they name, counts of what was seen, the same bytes every time."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from detection.config import CITY_CLASSES
from detection.errors import DetectionConfigError
from mem4nav.cli.detect_city import TRAIN_SEEDS, held_out_seeds, sample_of
from sim_envs.city import CityConfig, DrivingConfig, LidarConfig, TrafficConfig, make_city
from sim_envs.city.camera import project
from sim_envs.city.materials import Material
from sim_envs.city.moving import Box, turn_about_z
from sim_envs.city.scenes import (
    KINDS,
    Catalogue,
    Rig,
    RigPlay,
    Scene,
    SceneConfig,
    SceneTown,
    catalogue_of,
    drive_scenes,
    mixed_scenes,
    town_scenes,
)
from sim_envs.city.scenes.config import ROOF_CAMERAS
from sim_envs.errors import SimConfigError, SimError

CITY = CityConfig(streets=3, block_m=50.0)
SMALL_CAMERAS = tuple(replace(camera, width=96, height=64) for camera in ROOF_CAMERAS)
CLEAN_LIDAR = LidarConfig(channels=16, columns=256, range_noise_m=0.0, dropout=0.0)
SMALL = SceneConfig(
    city=CITY,
    traffic=TrafficConfig(4, 4, 8),
    driving=DrivingConfig(speed=6.0, moving_start=True, suspension=0.0),
    rig=Rig(cameras=SMALL_CAMERAS, lidar=CLEAN_LIDAR),
    frames=3,
)


@cache
def town() -> SceneTown:
    return SceneTown(SMALL, 7)


@cache
def scene() -> Scene:
    return town().frame(1)


def inside(points: NDArray, box: Box, slack: float = 1e-6) -> NDArray[np.bool_]:
    """(N,) which points in map lie in a box in map."""
    local = turn_about_z(points - box.centre, np.full(len(points), -box.yaw))
    return (np.abs(local) <= 0.5 * box.size + slack).all(axis=1)


@cache
def catalogue() -> Catalogue:
    return catalogue_of(town().world, town().config.city)


def same(first: Scene, second: Scene) -> bool:
    arrays = [
        (first.points, second.points),
        (first.intensity, second.intensity),
        (first.things.pixels, second.things.pixels),
    ]
    arrays += [(first.pictures[name], second.pictures[name]) for name in first.pictures]
    return first.name == second.name and all(np.array_equal(a, b) for a, b in arrays)


def test_every_standing_thing_is_held_tightly_by_its_box():
    mesh, kinds = town().world.mesh, set()
    for number, box in enumerate(catalogue().boxes):
        points = mesh.vertices[mesh.faces[catalogue().owner == number]].reshape(-1, 3)
        buried = points[:, 2] < box.centre[2] - 0.5 * box.size[2] - 1e-6
        assert inside(points[~buried], box).all(), box.kind
        assert not buried.any() or box.kind in ("tree", "traffic light"), box.kind
        local = turn_about_z(points[~buried] - box.centre, np.full((~buried).sum(), -box.yaw))
        gap = 0.5 * box.size - np.abs(local).max(axis=0)
        gap[0] -= 0.06 * (box.kind == "shop sign")
        assert gap.max() < 1e-6 or box.kind in ("tree", "traffic light"), (box.kind, gap)
        kinds.add(box.kind)
    assert kinds == set(KINDS) - {"bicycle", "pedestrian"}


def test_all_leaves_and_hydrants_of_a_town_belong_to_some_thing():
    mesh = town().world.mesh
    kinds = np.array([box.kind for box in catalogue().boxes])
    for material, kind in ((Material.LEAVES, "tree"), (Material.HYDRANT, "hydrant"), (Material.CAR_GLASS, None)):
        owner = catalogue().owner[mesh.material == material]
        assert (owner >= 0).all()
        assert set(kinds[owner]) <= ({kind} if kind else {"car", "van"})


def test_identities_are_unique_and_stay_from_scene_to_scene():
    first, second = town().moment(20).things, town().moment(25).things
    assert len(set(first.identity)) == len(first)
    both, i, j = np.intersect1d(first.identity, second.identity, return_indices=True)
    assert len(both) > 20
    assert (first.kind[i] == second.kind[j]).all()
    assert np.allclose(first.size[i], second.size[j])


def test_a_catalogue_of_another_town_is_refused():
    with pytest.raises(SimError, match="another seed"):
        catalogue_of(make_city(replace(CITY, seed=7)), replace(CITY, seed=8))


def test_returns_counted_for_a_standing_thing_lie_in_its_box():
    things, points, T = scene().things, scene().points.astype(float), scene().T_world_base
    world = points @ T[:3, :3].T + T[:3, 3]
    boxes = {box.identity: box for box in catalogue().boxes}
    checked = 0
    for number in np.flatnonzero(things.points > 0):
        box = boxes.get(int(things.identity[number]))
        if box is not None:
            assert inside(world, box, 0.05).sum() >= things.points[number]
            checked += 1
    assert checked > 5


def test_pixels_counted_for_a_thing_lie_where_its_box_projects():
    """A thing seen in a picture has a corner, or its centre, before that camera."""
    things = scene().things
    seen = np.flatnonzero(things.pixels >= 30)
    assert len(seen) > 5
    for number in seen:
        shown = False
        for camera in scene().calibration.cameras.values():
            T = np.linalg.inv(camera.T_base_camera)
            spread = things.size[number] * np.array(
                [[x, y, z] for x in (-0.5, 0, 0.5) for y in (-0.5, 0, 0.5) for z in (-0.5, 0, 0.5)]
            )
            spots = things.centre[number] + turn_about_z(spread, np.full(27, things.yaw[number]))
            spots = spots @ T[:3, :3].T + T[:3, 3]
            pixels = project(camera, spots[spots[:, 2] > 0.1])
            shown |= bool(((pixels > -0.5) & (pixels < [camera.width, camera.height])).all(axis=1).any())
        assert shown, KINDS[things.kind[number]]


def test_a_sweep_is_of_the_pictures_moment_the_vehicles_motion_taken_out():
    """Facades are where the town has them, though the vehicle drives half a metre within a sweep."""
    moment = town().moment(30)
    T = moment.T_world_base
    world = moment.points.astype(float) @ T[:3, :3].T + T[:3, 3]
    street = (np.linalg.norm(moment.points[:, :2], axis=1) > 4.0) & (moment.points[:, 2] < 0.1)
    assert street.sum() > 300
    above = world[street] + [0.0, 0.0, 0.3]
    down = town().world.static.cast(above, np.broadcast_to([0.0, 0.0, -1.0], above.shape))
    assert np.median(np.abs(down.distance - 0.3)) < 0.01


def test_a_bicycle_moves_as_its_velocity_says():
    first, second = town().moment(20), town().moment(21)
    moved = 0
    for identity in np.intersect1d(first.things.identity, second.things.identity):
        a, b = (s.things.pick(s.things.identity == identity) for s in (first, second))
        if np.hypot(*a.velocity[0]) < 0.5:
            continue
        places = [s.T_world_base[:3, :3] @ t.centre[0] + s.T_world_base[:3, 3] for s, t in ((first, a), (second, b))]
        speed = first.T_world_base[:3, :3].T @ (places[1] - places[0]) / 0.1
        assert np.allclose(speed[:2], a.velocity[0], atol=0.5)
        moved += 1
    assert moved >= 2


def test_the_same_town_and_frame_give_the_same_bytes_however_they_are_reached():
    again = SceneTown(SMALL, 7).frame(1)
    assert same(again, scene())
    second = list(town_scenes(replace(SMALL, frames=2), [7]))[1]
    assert second.name == scene().name
    assert not same(second, scene()), "another number of frames spaces them otherwise"


def test_towns_take_turns_and_each_gives_all_its_scenes():
    names = [one.name for one in mixed_scenes(replace(SMALL, frames=2), [7, 8, 9], lanes=2)]
    assert names == [f"town-{seed}-frame-{n:03d}" for seed, n in ((7, 0), (8, 0), (7, 1), (8, 1), (9, 0), (9, 1))]


def test_processes_change_neither_order_nor_bytes_and_leave_nothing_running():
    config = replace(SMALL, frames=2)
    here = list(mixed_scenes(config, [7, 8, 9], lanes=2))
    ahead = list(mixed_scenes(config, [7, 8, 9], lanes=2, workers=2))
    assert len(here) == len(ahead) == 6
    assert all(same(a, b) for a, b in zip(here, ahead, strict=True))
    assert not multiprocessing.active_children()


def test_an_error_in_a_process_is_told_here():
    stream = mixed_scenes(replace(SMALL, city=replace(CITY, missing_streets=np.nan)), [7], lanes=1, workers=1)
    with pytest.raises(SimError, match="failed: ValueError"):
        next(stream)
    assert not multiprocessing.active_children()


def test_a_drive_is_a_scene_a_sweep():
    stamps = [one.stamp_ns for one in drive_scenes(SMALL, 7, seconds=0.3)]
    assert np.diff(stamps).tolist() == [100_000_000, 100_000_000]


def test_rigs_differ_from_town_to_town_and_the_calibration_says_how():
    play = RigPlay(height_m=0.3, yaw_deg=3.0, fov_deg=8.0)
    rigs = [play.vary(SMALL.rig, np.random.default_rng(seed)) for seed in (1, 2)]
    heights = [[camera.T_base_camera[2, 3] for camera in rig.calibration().cameras.values()] for rig in rigs]
    assert not np.allclose(heights[0], heights[1])
    assert np.abs(np.array(heights) - 1.7).max() <= 0.3
    assert RigPlay().vary(SMALL.rig, np.random.default_rng(1)) == SMALL.rig


def test_a_sample_lists_what_was_seen_under_the_detectors_names():
    sample, things = sample_of(scene()), scene().things
    seen = (things.points > 0) | (things.pixels > 0)
    assert sample.boxes is not None
    assert len(sample.boxes) == seen.sum() > 5
    assert [CITY_CLASSES[label] for label in sample.boxes.label] == [KINDS[kind] for kind in things.kind[seen]]
    assert [view.name for view in sample.views] == ["front", "left", "back", "right"]
    assert sample.points.dtype == np.float32
    assert 0.0 <= sample.points[:, 3].min() <= sample.points[:, 3].max() <= 1.0
    assert np.allclose(sample.lidar_origin, [0.9, 0.0, 1.9])
    few = sample_of(scene(), ("tree", "car"))
    assert few.boxes is not None
    assert len(few.boxes) == np.isin(things.kind[seen], [KINDS.index("tree"), KINDS.index("car")]).sum()


def test_held_out_towns_are_never_learned_from_nor_shared_between_seeds():
    towns = [set(held_out_seeds(seed, 20)) for seed in range(5)]
    assert sum(map(len, towns)) == len(set().union(*towns, TRAIN_SEEDS)) - len(TRAIN_SEEDS) == 100
    with pytest.raises(DetectionConfigError, match="seed -1"):
        held_out_seeds(-1)


def test_settings_without_any_scene_are_refused():
    with pytest.raises(SimConfigError, match="0 frames"):
        SceneConfig(frames=0)
    with pytest.raises(SimConfigError, match="0 lanes"):
        mixed_scenes(SMALL, [7], lanes=0)
