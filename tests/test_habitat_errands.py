# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Errands in a town of Habitat without a reset: the tour, the way back, and what a memory does for it."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("open3d")

from detection.sample import no_boxes
from mem4nav.cli import habitat_errands
from mem4nav.cli.main import main
from mem4nav.environment import Action, Episode
from mem4nav.evaluation import follow
from mem4nav.memory import MemoryMode, open_memory
from mem4nav.modular.recollection import MEMORY
from sim_envs.habitat import HabitatConfig, Simulator
from sim_envs.habitat.baselines import TourGuide
from sim_envs.habitat.environment import HabitatEnvironment
from sim_envs.habitat.errand_tasks import make_errand_task
from sim_envs.habitat.errand_walker import ErrandWalker
from sim_envs.habitat.lidar import DepthLidar
from sim_envs.habitat.measures import resampled

pytestmark = pytest.mark.habitat
LIDAR = DepthLidar(columns=256)


class Blind:
    """Finds nothing."""

    classes = ("bench", "hydrant")

    def __init__(self, lidar_m=0.0):
        pass

    def __call__(self, returns):
        return no_boxes()


@pytest.fixture(scope="module")
def task(habitat_towns):
    return make_errand_task(0, habitat_towns)


@pytest.fixture(scope="module")
def simulator(task):
    with Simulator(HabitatConfig(task.stage, sensors=LIDAR.sensors())) as simulator:
        yield simulator


def episode(leg):
    return Episode(leg.id, leg.instruction, "")


def test_a_tour_passes_what_its_errands_ask_for_and_ends_away_from_it(task):
    line = resampled(task.tour.reference, 1.0)
    assert len(task.errands) in (2, 3)
    for errand in task.errands:
        away = np.linalg.norm(line[:, None, :2] - errand.goals[None, :, :2], axis=2).min(axis=0)
        assert away.max() < 1.5
    for errand in task.errands[:-1]:
        assert np.linalg.norm(errand.goals[:, :2] - task.tour.goals[0, :2], axis=1).min() > 18.0
    np.testing.assert_allclose(task.errands[-1].goals[0], task.tour.reference[0], atol=1e-3)


def test_a_task_is_read_as_it_was_made(task, habitat_towns):
    again = make_errand_task(0, habitat_towns)
    assert [one.instruction for one in again.errands] == [one.instruction for one in task.errands]


def test_a_guide_goes_the_whole_tour(simulator, task):
    environment = HabitatEnvironment(simulator, [task.tour], most_steps=4000)
    shown = follow(environment, TourGuide(environment), episode(task.tour))
    assert not shown.error and environment.score().success == 1.0 and environment.score().ndtw > 0.9


def test_an_episode_that_goes_on_begins_where_the_last_one_ended_in_the_same_frame(simulator, task):
    environment = HabitatEnvironment(simulator, [task.tour, *task.errands])
    environment.reset(episode(task.tour))
    for _ in range(8):
        last, _ = environment.step(Action.FORWARD)
    on = environment.go_on(episode(task.errands[0]))
    assert on.position_m == last.position_m and on.position_m != (0.0, 0.0)
    assert len(environment.path) == 1 and environment.episode is task.errands[0]


def led_away_and_asked_back(simulator, task, mode, steps=90):
    """The score of "walk back to where we began" after some steps of the tour."""
    legs = [task.tour, *task.errands]
    environment = HabitatEnvironment(simulator, legs, lidar=LIDAR, most_steps=400)
    guide = [Action(action) for action in follow(environment, TourGuide(environment), episode(task.tour)).actions]
    agent = ErrandWalker(Blind(), open_memory(MemoryMode(mode), MEMORY))
    follow(environment, agent, episode(task.tour), guide=[*guide[:steps], Action.STOP])
    environment.reset = environment.go_on
    prediction = follow(environment, agent, episode(task.errands[-1]))
    assert not prediction.error
    return environment.score(), prediction


def test_who_remembers_the_way_walks_back_to_the_beginning(simulator, task):
    score, prediction = led_away_and_asked_back(simulator, task, "full")
    assert score.success == 1.0 and not prediction.lost and score.path_length_m > 10.0


def test_who_remembers_nothing_says_that_it_is_lost(simulator, task):
    score, prediction = led_away_and_asked_back(simulator, task, "none")
    assert score.success == 0.0 and prediction.lost and prediction.actions == ["stop"]


def test_errands_that_were_done_are_not_done_again(habitat_towns, task, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(habitat_errands, "LandmarkDetector", Blind)
    monkeypatch.setattr(habitat_errands, "_MOST_STEPS", 30)
    monkeypatch.setattr(habitat_errands, "ErrandWalker", lambda *a: made.append(a) or ErrandWalker(*a))
    command = ["eval", "habitat", "--errands", "--episodes", "1", "--memory", "no-ltm"]
    command += ["--scenes", str(habitat_towns), "--out", str(tmp_path), "--quiet"]
    assert main(command) == 0 and main(command) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    ids = [json.loads(row)["id"] for row in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert len(made) == 1 and (metrics["episodes"], metrics["failed"], metrics["memory"]) == (len(ids), 0, "no-ltm")
    assert ids == [errand.id for errand in task.errands] and all(a < b for a, b in pairwise(ids))


def test_errands_are_for_the_modular_agent(tmp_path, capsys):
    assert main(["eval", "habitat", "--errands", "--agent", "oracle", "--out", str(tmp_path), "--quiet"]) == 2
    assert "--errands" in capsys.readouterr().err
