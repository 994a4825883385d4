# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Habitat itself, in its own process: a town is opened, looked at and walked through."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("open3d")

from detection.sample import no_boxes
from mem4nav.cli.habitat_walks import LandmarkDetector
from mem4nav.cli.main import main
from mem4nav.environment import Action, Episode
from sim_envs.city import make_city
from sim_envs.habitat import HabitatConfig, HabitatError, SensorConfig, SensorKind, Simulator, WorkerDiedError
from sim_envs.habitat.baselines import OracleAgent
from sim_envs.habitat.environment import HabitatEnvironment
from sim_envs.habitat.episodes import read_episodes
from sim_envs.habitat.frames import upright_pose, yaw_of
from sim_envs.habitat.lidar import DepthLidar, face_names
from sim_envs.habitat.town_episodes import make_walkable_town, town_config
from sim_envs.habitat.walker import Walker

pytestmark = pytest.mark.habitat
RGB = SensorConfig("rgb", SensorKind.RGB, 48, 64)
DEPTH = SensorConfig("depth", SensorKind.DEPTH, 48, 64)
LIDAR = DepthLidar()


@pytest.fixture(scope="module")
def town(habitat_towns):
    return make_walkable_town(0, habitat_towns)


@pytest.fixture(scope="module")
def simulator(town):
    panorama = SensorConfig("panorama", SensorKind.DEPTH, 32, 64, panorama=True)
    eyes = (RGB, DEPTH, panorama, *LIDAR.sensors(reflectivity=True))
    with Simulator(HabitatConfig(town.scene.stage, sensors=eyes)) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def episodes(town):
    return read_episodes(town.episodes)


def test_a_pose_comes_back_as_it_was_set(simulator, episodes):
    start = episodes[0].T_enu_base
    np.testing.assert_allclose(simulator.place(start).T_enu_base, start, atol=1e-4)


def test_a_step_goes_ahead_and_a_turn_to_its_side(simulator, episodes):
    before = simulator.place(episodes[0].T_enu_base).T_enu_base
    turned = simulator.step("left").T_enu_base
    assert np.degrees(yaw_of(turned) - yaw_of(before)) % 360.0 == pytest.approx(15.0, abs=0.01)
    ahead = simulator.step("forward").T_enu_base
    np.testing.assert_allclose((ahead - turned)[:2, 3], 0.25 * turned[:2, 0], atol=0.02)


def test_a_step_without_looking_ends_where_one_with_looking_does(simulator, episodes):
    ends = []
    for move in (simulator.step, simulator.act):
        simulator.place(episodes[0].T_enu_base)
        ends.append([move(action).T_enu_base for action in ("left", "forward", "right", "forward")])
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-5)


def test_pictures_show_a_street(simulator, episodes):
    simulator.place(episodes[0].T_enu_base)
    simulator.observe(["rgb", "depth", "panorama"])
    rgb, depth, panorama = (simulator.picture(name) for name in ("rgb", "depth", "panorama"))
    assert rgb.shape == (48, 64, 3) and rgb.dtype == np.uint8 and len(np.unique(rgb)) > 20
    assert depth.shape == (48, 64) and 1.0 < np.median(depth[-8:]) < 6.0
    assert panorama.shape == (32, 64) and np.ptp(panorama[24]) > 0.0


def test_only_the_sensors_that_are_asked_for_look_anew(simulator, episodes):
    simulator.place(episodes[0].T_enu_base)
    simulator.observe()
    rgb, depth = simulator.picture("rgb").copy(), simulator.picture("depth").copy()
    simulator.act("left")
    simulator.observe(["depth"])
    assert (simulator.picture("depth") != depth).any() and (simulator.picture("rgb") == rgb).all()


def look(simulator, episodes, T=None, **asked):
    """Returns from the first episode's start, or from a pose, by an environment's observation."""
    environment = HabitatEnvironment(simulator, episodes, lidar=LIDAR)
    first = environment.reset(Episode(episodes[0].id, "", ""))
    if T is not None:
        simulator.place(T)
    return first.look(**asked)


def test_a_look_finds_the_ground_underfoot(simulator, episodes):
    points = look(simulator, episodes)
    underfoot = (np.hypot(points[:, 0], points[:, 1]) < 5.0) & (points[:, 2] < 0.5)
    assert len(points) > 10_000 and abs(np.median(points[underfoot, 2])) < 0.3


def test_a_look_without_reflectivity_sees_the_same_places(simulator, episodes):
    full, plain = look(simulator, episodes), look(simulator, episodes, reflectivity=False)
    np.testing.assert_allclose(full[:, :3], plain[:, :3], atol=1e-6)
    assert len(np.unique(plain[:, 3])) == 1 and len(np.unique(full[:, 3])) > 100


def test_a_look_measures_what_rays_through_the_town_hit(simulator, episodes):
    T = upright_pose(episodes[0].T_enu_base[:3, 3], 1.3)
    points = look(simulator, episodes, T)[:, :3]
    eye = T[:3, 3] + [0.0, 0.0, LIDAR.height_m]
    away = points @ T[:3, :3].T + T[:3, 3] - eye
    distance = np.linalg.norm(away, axis=1)
    hits = make_city(town_config(0)).static.cast(np.tile(eye, (len(away), 1)), away / distance[:, None])
    assert np.median(np.abs(hits.distance - distance)) < 0.02


def test_the_shortest_way_is_at_least_as_long_as_the_straight_one(simulator, episodes):
    one = episodes[0]
    length, corners = simulator.path(one.T_enu_base[:3, 3], one.goals)
    assert length == pytest.approx(one.geodesic_m, rel=1e-3)
    assert length >= np.linalg.norm(one.goals[0] - one.T_enu_base[:3, 3]) - 1e-3
    np.testing.assert_allclose(corners[-1], one.goals[0], atol=0.05)
    assert simulator.distances([one.T_enu_base[:3, 3]], one.goals)[0] == pytest.approx(length, rel=1e-4)


def test_a_worker_that_was_killed_is_named_and_starts_again(town, episodes):
    with Simulator(HabitatConfig(town.scene.stage, sensors=(DEPTH,))) as simulator:
        os.kill(simulator.pid, signal.SIGKILL)
        with pytest.raises(WorkerDiedError, match="ended with code -9"):
            simulator.observe()
        simulator.restart()
        np.testing.assert_allclose(simulator.place(episodes[0].T_enu_base).position, episodes[0].T_enu_base[:3, 3],
                                   atol=1e-4)  # fmt: skip


def test_a_worker_that_is_silent_is_ended_and_says_for_how_long(town):
    config = replace(HabitatConfig(town.scene.stage, sensors=(DEPTH,)), answer_s=1.0)
    with Simulator(config) as simulator:
        pid = simulator.pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(WorkerDiedError, match="no answer to 'observe' in 1 s"):
            simulator.observe()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_scene_that_is_not_there_is_one_clear_error(habitat_towns, tmp_path):
    with pytest.raises(HabitatError, match="nowhere"):
        Simulator(HabitatConfig(tmp_path / "nowhere.stage_config.json", sensors=(DEPTH,)))


def test_an_environment_walks_and_scores(simulator, episodes):
    environment = HabitatEnvironment(simulator, episodes)
    first = environment.reset(Episode(episodes[0].id, "", ""))
    assert first.look is None and first.position_m == (0.0, 0.0)
    for _ in range(6):
        environment.step(Action.FORWARD)
    around, _ = environment.step(Action.TURN_AROUND)
    assert abs(around.heading_deg - first.heading_deg) == pytest.approx(180.0, abs=0.1)
    _, done = environment.step(Action.STOP)
    score = environment.score()
    assert done and score.success == 0.0 and 0.5 < score.path_length_m <= 1.55


def test_the_oracle_succeeds_in_twenty_episodes_and_a_second_run_walks_none(habitat_towns, tmp_path):
    command = ["eval", "habitat", "--agent", "oracle", "--episodes", "20", "--scenes", str(habitat_towns)]
    command += ["--out", str(tmp_path), "--quiet"]
    assert main(command) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["episodes"] == 20 and metrics["success"] == 100.0 and metrics["spl"] > 95.0
    began = time.monotonic()
    assert main(command) == 0
    again = json.loads((tmp_path / "metrics.json").read_text())
    assert again["walked_now"] == 0 and again["success"] == 100.0 and time.monotonic() - began < 60.0


def test_the_random_agent_does_the_same_in_every_order(habitat_towns, tmp_path):
    runs = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        command = ["eval", "habitat", "--agent", "random", "--episodes", "6", "--scenes", str(habitat_towns)]
        assert main([*command, "--workers", workers, "--out", str(out), "--quiet"]) == 0
        runs.append((out / "scores.jsonl").read_text())
    assert runs[0] == runs[1]


def test_a_worker_that_is_killed_on_the_way_costs_no_episode(habitat_towns, town, tmp_path, monkeypatch):
    killed = []

    class Deadly(OracleAgent):
        def act(self, observation):
            if observation.steps == 20 and not killed:
                killed.append(self._environment.simulator.pid)
                os.kill(killed[0], signal.SIGKILL)
            return super().act(observation)

    monkeypatch.setattr("mem4nav.cli.habitat_walks.OracleAgent", Deadly)
    command = ["eval", "habitat", "--agent", "oracle", "--episodes", "2", "--scenes", str(habitat_towns), "--quiet"]
    assert main([*command, "--pictures", "--out", str(tmp_path)]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert killed and (metrics["failed"], metrics["success"], metrics["restarts"]) == (0, 100.0, 1)
    assert len(list((tmp_path / "episodes").glob("*.png"))) == 2


class Watched:
    """Finds nothing, and counts how often it was asked."""

    classes = ("bench", "hydrant")

    def __init__(self):
        self.asked = 0

    def __call__(self, returns):
        self.asked += 1
        return no_boxes()


def walk(simulator, episodes, walker, instruction, steps):
    """Headings and looks taken, step by step."""
    environment = HabitatEnvironment(simulator, episodes, lidar=LIDAR)
    observation = environment.reset(Episode(episodes[0].id, "", ""))
    walker.begin(instruction, observation)
    headings, looks, observe = [observation.heading_deg], [], simulator.observe
    simulator.observe = lambda names: looks.append(names) or observe(names)
    for _ in range(steps):
        observation, _ = environment.step(walker.act(observation).action)
        headings.append(observation.heading_deg)
    simulator.observe = observe
    return environment, headings, looks


def test_a_walker_goes_along_the_street_and_turns_when_it_is_told_to(simulator, episodes):
    pytest.importorskip("torch")
    walker = Walker(LandmarkDetector(LIDAR.height_m))
    environment, headings, _ = walk(simulator, episodes, walker, "Turn around. Stop at the bench.", 40)
    assert abs((headings[12] - headings[0]) % 360.0 - 180.0) < 20.0
    assert np.linalg.norm(environment.path[-1] - environment.path[0]) > 4.0


def test_a_walker_asks_its_detector_only_where_it_seeks_a_landmark(simulator, episodes):
    turning, seeking = Watched(), Watched()
    text = "Turn left at the third crossing and stop at the bench."
    _, _, looks = walk(simulator, episodes, Walker(turning), text, 40)
    walk(simulator, episodes, Walker(seeking), "Stop at the bench.", 40)
    assert turning.asked == 0 and seeking.asked > 3
    assert 3 < len(looks) < 20 and not any(name in names for names in looks for name in face_names(SensorKind.RGB))


def test_a_walker_gives_up_at_once_what_it_cannot_detect(simulator, episodes):
    class Blind:
        classes = ("bench",)

        def __call__(self, returns):
            raise AssertionError("nothing to look for")

    walker = Walker(Blind())
    first = HabitatEnvironment(simulator, episodes).reset(Episode(episodes[0].id, "", ""))
    walker.begin("Turn left and stop at the lighthouse.", first)
    decision = walker.act(first)
    assert decision.action is Action.STOP and decision.lost and "lighthouse" in decision.clause
