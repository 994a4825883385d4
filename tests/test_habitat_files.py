# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Habitat's frames, episode files, measures and LiDAR: what needs no simulator."""

from __future__ import annotations

import gzip
import json
import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sim_envs.errors import SimConfigError
from sim_envs.habitat import HabitatConfig, HabitatError, SensorConfig, SensorKind
from sim_envs.habitat.episodes import (
    HabitatEpisode,
    read_episodes,
    read_ground_truth,
    write_objectnav,
    write_pointnav,
    write_vln,
)
from sim_envs.habitat.frames import from_enu, pose_from_enu, pose_to_enu, to_enu, upright_pose, yaw_of
from sim_envs.habitat.glb import Part, write_glb
from sim_envs.habitat.interpreter import VARIABLE, find_interpreter
from sim_envs.habitat.lidar import FACES, DepthLidar, face_rays, free_ways_deg
from sim_envs.habitat.measures import dense_ndtw, resampled, score_walk

rng = np.random.default_rng(7)


def episode(name: str = "7", **changes) -> HabitatEpisode:
    fields = {
        "id": name, "scene": "towns/a.stage_config.json", "T_enu_base": upright_pose([1.0, 2.0, 0.1], 0.7),
        "goals": np.array([[4.0, 5.0, 0.2]]), "radius_m": 3.0, "instruction": "Go to the bench, and stop.",
        "reference": np.array([[1.0, 2.0, 0.1], [4.0, 5.0, 0.2]]), "geodesic_m": 4.3, "trajectory": "3",
    }  # fmt: skip
    return HabitatEpisode(**(fields | changes))


def test_north_is_where_habitat_looks_at_first():
    T = pose_to_enu([1.0, 2.0, 3.0], [0.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(T[:3, 3], [1.0, -3.0, 2.0])
    np.testing.assert_allclose(T[:3, 0], [0.0, 1.0, 0.0], atol=1e-12)  # ahead is -z there: north
    np.testing.assert_allclose(T[:3, 2], [0.0, 0.0, 1.0], atol=1e-12)
    assert yaw_of(T) == pytest.approx(np.pi / 2)


def test_points_and_poses_come_back_from_habitats_frame_as_they_went():
    points = rng.normal(size=(50, 3))
    np.testing.assert_allclose(to_enu(from_enu(points)), points)
    for quaternion in Rotation.random(20, random_state=3).as_quat():
        position, back = pose_from_enu(pose_to_enu(points[0], quaternion))
        np.testing.assert_allclose(position, points[0], atol=1e-12)
        assert abs(float(back @ quaternion)) == pytest.approx(1.0)


def test_a_left_turn_in_habitat_is_a_left_turn_here():
    left = Rotation.from_euler("y", 15.0, degrees=True).as_quat()
    turn = yaw_of(pose_to_enu(np.zeros(3), left)) - yaw_of(pose_to_enu(np.zeros(3), [0.0, 0.0, 0.0, 1.0]))
    assert np.degrees(turn) == pytest.approx(15.0)


@pytest.mark.parametrize("write", [write_vln, write_pointnav])
def test_an_episode_file_is_read_as_it_was_written(tmp_path, write):
    path = write(tmp_path / "val.json.gz", [episode("1"), episode("2", geodesic_m=None)])
    first, second = read_episodes(path)
    np.testing.assert_allclose(first.T_enu_base, episode().T_enu_base, atol=1e-5)
    np.testing.assert_allclose(first.goals, episode().goals, atol=1e-6)
    assert (first.id, first.scene, first.radius_m, first.geodesic_m) == ("1", episode().scene, 3.0, 4.3)
    assert second.geodesic_m is None
    if write is write_vln:
        assert first.instruction == episode().instruction and first.trajectory == "3"
        np.testing.assert_allclose(first.reference, episode().reference, atol=1e-6)


def test_the_same_episodes_are_the_same_bytes(tmp_path):
    a, b = (write_vln(tmp_path / name, [episode()]).read_bytes() for name in ("a.json.gz", "b.json.gz"))
    assert a == b


def test_dense_ways_lie_beside_the_episodes(tmp_path):
    way = resampled(episode().reference, 0.25)
    write_vln(tmp_path / "val.json.gz", [episode()], {"7": way})
    np.testing.assert_allclose(read_ground_truth(tmp_path / "val_gt.json.gz")["7"], way, atol=1e-6)


def test_tokens_of_an_instruction_are_numbers_in_the_vocabulary(tmp_path):
    path = write_vln(tmp_path / "val.json.gz", [episode()])
    content = json.loads(gzip.decompress(path.read_bytes()))
    words = content["instruction_vocab"]["word_list"]
    tokens = content["episodes"][0]["instruction"]["instruction_tokens"]
    assert [words[token] for token in tokens] == ["go", "to", "the", "bench", "and", "stop"]


def test_goals_of_objectnav_are_the_places_that_an_object_is_seen_from(tmp_path):
    sofa = episode(category="sofa", goals=rng.normal(size=(3, 3)))
    (read,) = read_episodes(write_objectnav(tmp_path / "val.json.gz", [sofa]))
    assert read.category == "sofa" and read.radius_m == 0.1
    np.testing.assert_allclose(read.goals, sofa.goals, atol=1e-6)


def test_a_file_without_episodes_stands_for_those_in_its_content_folder(tmp_path):
    (tmp_path / "content").mkdir()
    write_pointnav(tmp_path / "val.json.gz", [])
    write_pointnav(tmp_path / "content" / "a.json.gz", [episode("1")])
    write_pointnav(tmp_path / "content" / "b.json.gz", [episode("2")])
    assert [one.id for one in read_episodes(tmp_path / "val.json.gz")] == ["1", "2"]


def test_an_episode_that_lacks_its_start_is_named(tmp_path):
    path = tmp_path / "val.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"episodes": [{"episode_id": "1", "scene_id": "a"}]}).encode()))
    with pytest.raises(HabitatError, match="episode 0: ValueError it has no goal"):
        read_episodes(path)
    path.write_bytes(b"no gzip")
    with pytest.raises(HabitatError, match="cannot read"):
        read_episodes(path)


def test_a_perfect_walk_scores_one_in_everything():
    way = resampled(np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [10.0, 8.0, 0.0]]), 0.25)
    left = np.linspace(18.0, 0.0, len(way))
    score = score_walk(way, left, stopped=True, radius_m=3.0, reference=way[[0, 40, -1]])
    assert (score.success, score.spl, score.oracle_success) == (1.0, 1.0, 1.0)
    assert score.ndtw == pytest.approx(1.0) and score.sdtw == score.ndtw
    assert score.path_length_m == pytest.approx(18.0)


def test_a_detour_halves_spl_and_no_stop_is_no_success():
    way = np.array([[0.0, 0, 0], [10.0, 0, 0], [0.0, 0, 0], [10.0, 0, 0], [20.0, 0, 0]])
    left = np.array([20.0, 10.0, 20.0, 10.0, 0.0])
    assert score_walk(way, left, stopped=True, radius_m=3.0).spl == pytest.approx(0.5)
    unstopped = score_walk(way, left, stopped=False, radius_m=3.0)
    assert (unstopped.success, unstopped.oracle_success, unstopped.spl) == (0.0, 1.0, 0.0)


def test_turning_in_place_does_not_change_ndtw_and_a_walk_elsewhere_scores_little():
    reference = np.array([[0.0, 0, 0], [20.0, 0, 0]])
    way = resampled(reference, 0.25)
    assert dense_ndtw(np.repeat(way, 3, axis=0), reference) == pytest.approx(1.0)
    assert dense_ndtw(way + np.array([0.0, 9.0, 0.0]), reference) == pytest.approx(np.exp(-3.0), rel=0.05)


def pictures(lidar, nearest):
    """(4, H, W) depth of surfaces: metres along each ray (P, 3) to them, in lengths of the ray."""
    height, width = lidar.picture
    with np.errstate(divide="ignore"):
        depth = nearest(face_rays(height, width))
    return np.where(depth < 50.0, depth, 0.0).reshape(FACES, height, width)


def test_returns_lie_on_the_ground_and_the_wall():
    lidar, wall = DepthLidar(), 7.0
    points = lidar.scan(pictures(lidar, lambda rays: np.minimum(
        np.where(rays[:, 2] < 0, -lidar.height_m / rays[:, 2], np.inf),
        np.where(rays[:, 1] > 0, wall / rays[:, 1], np.inf),
    )))  # fmt: skip
    on_ground, on_wall = np.abs(points[:, 2]) < 1e-3, np.abs(points[:, 1] - wall) < 1e-3
    assert (on_ground | on_wall).all() and on_ground.sum() > 1000 and on_wall.sum() > 1000
    assert len(np.unique(points[:, 4])) == lidar.channels


def test_firings_leave_no_gap_all_round():
    lidar = DepthLidar()
    points = lidar.scan(pictures(lidar, lambda rays: 10.0 / np.linalg.norm(rays, axis=1)))
    np.testing.assert_allclose(np.linalg.norm(points[:, :3] - [0.0, 0.0, lidar.height_m], axis=1), 10.0, atol=1e-4)
    bearing = np.sort(np.degrees(np.arctan2(points[:, 1], points[:, 0]))[points[:, 4] == 40])
    assert len(points) == lidar.channels * lidar.columns
    assert np.diff(bearing, append=bearing[0] + 360.0).max() < 2.2 * 360.0 / lidar.columns


def test_intensity_is_reflectivity_where_a_ray_meets_a_wall_squarely_and_less_where_it_grazes():
    lidar = DepthLidar()
    depth = pictures(lidar, lambda rays: np.where(rays[:, 0] > 0.1, 4.0 / np.maximum(rays[:, 0], 0.1), np.inf))
    returns = lidar.scan(depth, np.full(depth.shape, 128, np.uint8))
    bearing = np.degrees(np.arctan2(returns[:, 1], returns[:, 0]))
    level = np.abs(returns[:, 2] - lidar.height_m) < 0.3
    assert np.median(returns[level & (np.abs(bearing) < 5.0), 3]) == pytest.approx(0.5, abs=0.02)
    assert np.median(returns[level & (np.abs(np.abs(bearing) - 60.0) < 2.0), 3]) == pytest.approx(0.5 * 0.625, abs=0.03)


def test_one_can_walk_where_nothing_stands():
    wall = np.stack([np.full(50, 2.0), np.linspace(-2.0, 2.0, 50), np.ones(50)], axis=1)
    ways = free_ways_deg(wall, heading_deg=90.0)
    assert 90.0 not in ways and 270.0 in ways and list(ways) == sorted(ways)


def test_a_glb_says_what_it_holds_and_shares_textures():
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    texture = np.full((4, 4, 3), 128, np.uint8)
    part = Part(
        "wall", corners, np.tile(np.float32([0, 0, 1]), (3, 1)), corners[:, :2], np.ones((3, 4), np.float32),
        np.array([[0, 1, 2]], np.uint32), texture,
    )  # fmt: skip
    content = write_glb([part, part])
    magic, version, total = struct.unpack("<4sII", content[:12])
    (length,) = struct.unpack("<I", content[12:16])
    document = json.loads(content[20 : 20 + length])
    assert (magic, version, total) == (b"glTF", 2, len(content))
    assert (len(document["nodes"]), len(document["images"]), len(document["materials"])) == (2, 1, 1)
    assert document["accessors"][0]["max"] == [1.0, 1.0, 0.0]


def test_wrong_settings_are_refused(tmp_path):
    with pytest.raises(SimConfigError, match="cell_m"):
        HabitatConfig(tmp_path, cell_m=0.5)
    with pytest.raises(SimConfigError, match="each name once"):
        HabitatConfig(tmp_path, sensors=(SensorConfig("a", SensorKind.RGB), SensorConfig("a", SensorKind.DEPTH)))


def test_an_interpreter_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv(VARIABLE, "/no/such/python")
    with pytest.raises(HabitatError, match="/no/such/python"):
        find_interpreter()
