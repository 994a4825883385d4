# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Lines are walked in steps and turns, and a Habitat that dies is started again: what needs no simulator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mem4nav.cli import habitat_kept
from mem4nav.environment import Action
from sim_envs.habitat import HabitatConfig, WorkerDiedError
from sim_envs.habitat.frames import upright_pose
from sim_envs.habitat.stepper import Stepper


def walked(path, yaw_deg, actions, blocked=lambda position: False):
    """Positions (N, 2) and actions of a walker on flat ground."""
    stepper, position, yaw, places, done = Stepper(15.0), np.array(path[0], float), np.radians(yaw_deg), [], []
    for _ in range(actions):
        action = stepper.along(path, upright_pose([*position, 0.0], yaw))
        if action is Action.FORWARD:
            there = position + 0.25 * np.array([np.cos(yaw), np.sin(yaw)])
            position = position if blocked(there) else there
        else:
            yaw += np.radians(15.0) * (1.0 if action is Action.LEFT else -1.0)
        places.append(position)
        done.append(action)
    return np.array(places), done


def test_a_line_midway_between_two_headings_costs_few_turns():
    path = 0.5 * np.arange(60)[:, None] * [np.cos(np.radians(7.5)), np.sin(np.radians(7.5))]
    places, actions = walked(path, 0.0, 80)
    off = np.abs(places @ [-np.sin(np.radians(7.5)), np.cos(np.radians(7.5))])
    assert off.max() < 0.5 and sum(action is not Action.FORWARD for action in actions) < 25


def test_a_corner_is_gone_round():
    path = np.array([[x, 0.0] for x in np.arange(0.0, 6.0, 0.3)] + [[6.0, y] for y in np.arange(0.0, 6.0, 0.3)])
    places, _ = walked(path, 0.0, 60)
    assert np.linalg.norm(places - path[-1], axis=1).min() < 0.5


def test_what_stands_on_the_line_is_gone_round():
    path = np.array([[x, 0.0] for x in np.arange(0.0, 8.0, 0.3)])
    places, _ = walked(path, 0.0, 200, blocked=lambda at: np.hypot(*(at - [3.0, 0.0])) < 0.4)
    assert places[:, 0].max() > 6.0


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_habitat_that_dies_while_it_opens_is_started_again(monkeypatch, deaths):
    tried = []

    def simulator(config, python):
        tried.append(python)
        if len(tried) <= deaths:
            raise WorkerDiedError("killed")
        return "open"

    monkeypatch.setattr(habitat_kept, "Simulator", simulator)
    assert habitat_kept.opened(HabitatConfig(Path("a")), "python") == "open" and len(tried) == deaths + 1


def test_one_that_always_dies_is_given_up(monkeypatch):
    def simulator(config, python):
        raise WorkerDiedError("killed")

    monkeypatch.setattr(habitat_kept, "Simulator", simulator)
    with pytest.raises(WorkerDiedError):
        habitat_kept.opened(HabitatConfig(Path("a")), "python")
