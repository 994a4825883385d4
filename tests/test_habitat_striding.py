# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Agents of street graphs on foot: what they are shown, what their decisions become, and language models in Habitat."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from detection.sample import Boxes, no_boxes
from mem4nav.agent import Decision
from mem4nav.cli import habitat_walks
from mem4nav.cli.main import main
from mem4nav.environment import Action
from sim_envs.habitat.environment import HabitatEnvironment, HabitatObservation, heading_deg
from sim_envs.habitat.frames import upright_pose, yaw_of
from sim_envs.habitat.strider import STRIDE_M, Strider
from sim_envs.habitat.watch import open_ways_deg

STEP_M, TURN_DEG = 0.25, 15.0


def street(east, crossing=None):
    """(N, 5) returns in base_link of somebody at (east, 0): walls 5 m to both sides of a street along the x axis."""
    x = np.arange(-60.0, 60.0, 0.1)
    if crossing is not None:
        x = x[np.abs(x - crossing) > 4.0]
    walls = np.concatenate([np.stack([x, np.full_like(x, side), np.ones_like(x)], axis=1) for side in (5.0, -5.0)])
    return np.column_stack([walls - [east, 0.0, 0.0], np.zeros((len(walls), 2))])


class Street:
    """A walker on flat ground in a street along the x axis; no wall is ever met."""

    def __init__(self, crossing=None):
        self.T, self.crossing, self.looks = upright_pose([0.0, 0.0, 0.0], 0.0), crossing, []

    def observed(self):
        def look(*, reflectivity=True):
            self.looks.append(self.T[:2, 3].copy())
            seen = street(self.T[0, 3], self.crossing)
            seen[:, :3] = (seen[:, :3] - [0.0, self.T[1, 3], 0.0]) @ self.T[:3, :3]
            return seen

        east, north = self.T[:2, 3].tolist()
        return HabitatObservation(
            f"{round(east / 2.0)}:{round(north / 2.0)}", (east, north), heading_deg(self.T), (), 0.0,
            T_odom_base=self.T.copy(), look=look,
        )  # fmt: skip

    def do(self, action):
        if action is Action.FORWARD:
            self.T[:3, 3] += STEP_M * self.T[:3, 0]
        else:
            turn = np.radians(TURN_DEG) * (1.0 if action is Action.LEFT else -1.0)
            self.T = upright_pose(self.T[:3, 3], yaw_of(self.T) + turn)


class Told:
    """Does what it was told, and keeps what it was shown."""

    def __init__(self, *actions):
        self.actions, self.shown = list(actions), []

    def begin(self, instruction, first):
        self.first = first

    def act(self, observation):
        self.shown.append(observation)
        return Decision(self.actions.pop(0) if self.actions else Action.STOP)

    def forget(self):
        pass


class Blind:
    classes = ("bench", "hydrant")

    def __call__(self, returns):
        return no_boxes()


class SeesABench(Blind):
    """One that stands 3 m to the left of the way."""

    def __init__(self, town):
        self.town, self.at = town, np.array([6.0, 3.0, 0.5])

    def __call__(self, returns):
        centre = ((self.at - self.town.T[:3, 3]) @ self.town.T[:3, :3])[None].astype(np.float32)
        size, unknown = np.array([[1.5, 0.5, 0.9]], np.float32), np.full(1, -1)
        return Boxes(centre, size, np.zeros(1, np.float32), np.full((1, 2), np.nan, np.float32), np.zeros(1, np.int64),
                     np.full(1, 0.95, np.float32), unknown, unknown, unknown)  # fmt: skip


def walked(told, town=None, detect=None):
    """What was done, step by step, until the stop."""
    town = town or Street()
    strider, done, observation = Strider(told, detect or Blind(), TURN_DEG), [], town.observed()
    strider.begin("Walk on.", observation)
    while len(done) < 200 and (action := strider.act(observation).action) is not Action.STOP:
        done.append(action)
        town.do(action)
        observation = town.observed()
    return town, done


def test_along_a_street_the_ways_on_and_back_lie_open_and_at_a_crossing_those_aside_too():
    assert open_ways_deg(street(0.0), 90.0) == (90.0, 270.0)
    assert open_ways_deg(street(0.0, crossing=0.0), 90.0) == (0.0, 90.0, 180.0, 270.0)


def test_where_nothing_stands_one_can_go_four_ways_and_where_all_is_closed_none():
    assert open_ways_deg(np.zeros((0, 5)), 100.0) == (10.0, 100.0, 190.0, 280.0)
    angle = np.radians(np.arange(360.0))
    wall = np.column_stack([2.0 * np.cos(angle), 2.0 * np.sin(angle), np.ones((360, 1)), np.zeros((360, 2))])
    assert open_ways_deg(wall, 100.0) == ()


def test_forward_is_a_stride_and_is_looked_at_once():
    town, done = walked(told := Told(Action.FORWARD, Action.FORWARD))
    assert done == [Action.FORWARD] * round(2 * STRIDE_M / STEP_M)
    np.testing.assert_allclose(town.T[:2, 3], [2 * STRIDE_M, 0.0], atol=1e-9)
    assert len(town.looks) == len(told.shown) == 3 and told.shown[0] is told.first


def test_aside_is_the_next_open_way_there_or_a_right_angle():
    for action, north in ((Action.LEFT, 1.0), (Action.RIGHT, -1.0)):
        town, done = walked(Told(action, Action.FORWARD), Street(crossing=0.0))
        assert done[:6] == [action] * 6
        np.testing.assert_allclose(town.T[:2, 3], [0.0, north * STRIDE_M], atol=1e-9)
    _, around = walked(Told(Action.TURN_AROUND))
    assert len(around) == 12 and len(set(around)) == 1


def test_a_stride_that_leads_nowhere_ends():
    class Stuck(Street):
        def do(self, action):
            if action is not Action.FORWARD:
                super().do(action)

    _, done = walked(told := Told(Action.FORWARD), Stuck())
    assert len(told.shown) == 2 and 0 < len(done) < 40


def test_what_was_seen_well_enough_is_shown_with_where_it_is():
    town = Street()
    walked(told := Told(*[Action.FORWARD] * 3), town, SeesABench(town))
    assert told.shown[0].landmarks == ()
    (bench,) = told.shown[-1].landmarks
    assert (bench.category, round(bench.bearing_deg), round(bench.distance_m)) == ("bench", 0, 3)


@pytest.fixture
def short_walks(monkeypatch):
    """Episodes of 40 steps, walked by who sees no landmarks."""
    monkeypatch.setattr(habitat_walks, "HabitatEnvironment", partial(HabitatEnvironment, most_steps=40))
    monkeypatch.setattr(habitat_walks, "LandmarkDetector", lambda lidar_m: Blind())


def evaluated(out, towns, *options):
    """Metrics, and the actions of the episodes."""
    command = ["eval", "habitat", "--scenes", str(towns), "--out", str(out), "--quiet", *options]
    assert main(command) == 0
    rows = [json.loads(row) for row in (out / "predictions.jsonl").read_text().splitlines()]
    return json.loads((out / "metrics.json").read_text()), rows


@pytest.mark.habitat
def test_a_language_model_at_an_endpoint_walks_in_habitat_and_is_kept_by_its_name(
    habitat_towns, endpoint, tmp_path, short_walks
):
    llm = ["--agent", "llm", "--model", endpoint, "--model-name", "one-word", "--episodes", "2"]
    metrics, rows = evaluated(tmp_path, habitat_towns, *llm)
    assert (metrics["agent"], metrics["backbone"], metrics["memory"], metrics["model_name"]) == (
        "llm", "llm", "full", "one-word")  # fmt: skip
    assert metrics["failed"] == 0 and all(row["actions"].count("forward") > 10 for row in rows)
    assert evaluated(tmp_path, habitat_towns, *llm)[0]["walked_now"] == 0
    assert evaluated(tmp_path, habitat_towns, *llm, "--memory", "none")[0]["walked_now"] == 2


@pytest.mark.habitat
@pytest.mark.parametrize("agent", ["llm", "mllm"])
def test_a_local_model_walks_in_habitat(habitat_towns, tmp_path, short_walks, agent):
    pytest.importorskip("transformers")
    from mem4nav.backbones.mllm import new_mllm
    from mem4nav.backbones.mllm_network import MllmConfig
    from mem4nav.cli.eval_agents import DIMENSION
    from tiny_language_models import save_tiny_model

    language = save_tiny_model(tmp_path / "language", ["Turn left at the crossing. Stop at the bench."])
    options = ["--model", str(language)]
    if agent == "mllm":
        new_mllm(language, DIMENSION, MllmConfig()).save(tmp_path / "mllm")
        options = ["--checkpoint", str(tmp_path / "mllm")]
    metrics, (row,) = evaluated(tmp_path / "out", habitat_towns, "--agent", agent, *options, "--episodes", "1")
    assert (metrics["failed"], metrics["backbone"]) == (0, agent) and row["actions"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--agent", "llm"], "--model"),
        (["--agent", "mllm"], "--checkpoint"),
        (["--agent", "oracle", "--model", "gpt"], "--agent llm"),
        (["--checkpoint", "weights"], "--agent llm and mllm"),
        (["--workers", "0"], "--workers 0"),
    ],
)
def test_options_that_do_not_fit_are_one_line(tmp_path, capsys, options, complaint):
    assert main(["eval", "habitat", "--out", str(tmp_path), *options]) == 2
    error = capsys.readouterr().err.strip()
    assert complaint in error and "\n" not in error
