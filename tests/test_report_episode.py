# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a report tells of instructions that were followed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mem4nav.modular
from mem4nav.cli.demo_episode import Episode, View
from mem4nav.cli.eval_city import Errand
from mem4nav.cli.report_episode import episode_section
from mem4nav.environment import Episode as Instruction
from mem4nav.evaluation import Prediction
from mem4nav.memory import MemoryConfig, open_memory
from sim_envs.city.navigation import CityTask, Leg, LegKind, Outcome
from sim_envs.city.navigation.detector import Detections
from sim_envs.city.navigation.street_plan import StreetPlan
from sim_envs.city.navigation.town import Town
from sim_envs.street_graph import StreetGraph

WEIGHTS = Path(mem4nav.modular.__file__).parent / "weights" / "city.safetensors"
BACK = "Pass the bar, then go back to Tom & Jerry's."


def street() -> Town:
    """Three places in a row."""
    links = [("a", 90.0, "b"), ("b", 270.0, "a"), ("b", 90.0, "c"), ("c", 270.0, "b")]
    graph = StreetGraph(["a", "b", "c"], np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]]), links)
    nothing = Detections(((), (), ()))
    return Town(0, StreetPlan(graph, ((0, 1, 2),), frozenset()), (), nothing, nothing)


def tour() -> Prediction:
    return Prediction("t/0", ["forward", "stop"], ["a", "b", "b"], [90.0] * 3, [""] * 2, [[], []])


def way_back() -> Prediction:
    clauses = ["Pass the bar, then", "go back to Tom & Jerry's.", "go back to Tom & Jerry's."]
    recalled = [[], ["Tom & Jerry's (bank)"], ["Tom & Jerry's (bank)"]]
    return Prediction("t/1", ["left", "forward", "stop"], ["b", "b", "a", "a"], [270.0] * 4, clauses, recalled)


def episode(back: Prediction | None = None, *, success: bool = True) -> Episode:
    """A tour and an errand, with a memory of one sighting."""
    legs = [
        Leg(Instruction(f"t/{n}", text, start), kind, goal, (), (), 9, (), 10.0)
        for n, (text, start, kind, goal) in enumerate(
            [("Follow me.", "a", LegKind.GUIDED, "b"), (BACK, "b", LegKind.MEMORY, "a")]
        )
    ]
    done = [
        Errand("return", LegKind.GUIDED, tour(), Outcome(True, 1.0)),
        Errand("return", LegKind.MEMORY, back or way_back(), Outcome(success, float(success))),
    ]
    memory = open_memory(config=MemoryConfig(dimension=2))
    memory.visit(np.eye(4), [1.0, 0.0], name="a")
    memory.write(np.eye(4), [1.0, 0.0], "Tom & Jerry's (bank)")
    view = View("1., after 0 actions", np.zeros((4, 6, 3), np.uint8))
    return Episode(CityTask("t", "return", 0, tuple(legs)), street(), tuple(done), memory, "w.safetensors", (view,))


def test_the_words_of_the_moment_are_marked_in_the_instruction():
    page = episode_section(episode())
    assert "<mark>Pass the bar, then</mark> go back to Tom &amp; Jerry&#x27;s." in page
    assert "Pass the bar, then <mark>go back to Tom &amp; Jerry&#x27;s</mark>." in page


def test_steps_with_the_same_words_and_memories_are_one_row_with_what_memory_returned():
    page = episode_section(episode())
    assert "<td>1</td>" in page and "<td>2 to 3</td>" in page
    assert "<td>nothing</td><td>left</td>" in page
    assert "<td>Tom &amp; Jerry&#x27;s (bank)</td><td>forward, stop</td>" in page


def test_the_maps_show_streets_goals_and_what_is_remembered():
    page = episode_section(episode())
    assert page.count("<svg") == 2 and page.count("data:image/jpeg") == 1
    assert "1: led" in page and "2: from memory" in page
    assert "1 places" in page and "1 sightings" in page


@pytest.mark.parametrize(
    ("change", "success", "told"),
    [
        ({}, True, "Stopped at the goal or one hop from it after 3 actions; SPL 1.00."),
        ({}, False, "Stopped elsewhere, after 3 actions."),
        ({"lost": True}, False, "Said that it was lost, after 3 actions."),
        ({"actions": ["left", "forward", "forward"]}, False, "Not there when the limit was reached, after 3 actions."),
        ({"error": "EpisodeError: a <b>"}, False, "Broke off after 3 actions: EpisodeError: a &lt;b&gt;"),
    ],
)
def test_every_end_is_told_as_it_was(change, success, told):
    back = way_back()
    for name, value in change.items():
        setattr(back, name, value)
    walked = episode(back, success=success)
    assert told in episode_section(walked)
    assert walked.verdict == f"{int(success)} of 1 instructions followed to their goal, in 3 actions"


def test_an_episode_that_broke_off_at_once_is_drawn_too():
    page = episode_section(episode(Prediction("t/1", error="EpisodeError: no such start"), success=False))
    assert "Broke off after 0 actions: EpisodeError: no such start" in page


def test_metrics_hold_each_leg_and_the_size_of_the_memory():
    metrics = episode().metrics()
    assert [leg["success"] for leg in metrics["legs"]] == [True, True]
    assert metrics["legs"][1]["instruction"] == BACK and metrics["weights"] == "w.safetensors"
    assert metrics["memory"] == {"places": 1, "ways": 0, "sightings": 1}


def test_the_agent_walks_and_remembers_with_the_core_alone():
    if not WEIGHTS.exists():
        pytest.skip(f"{WEIGHTS.name} is not there")
    script = """
import sys
for name in ("torch", "faiss", "transformers", "httpx", "networkx", "open3d"):
    sys.modules[name] = None  # importing it fails
from mem4nav.environment import Action, Observation, Sighting
from mem4nav.memory import open_memory
from mem4nav.modular.agent import ModularAgent
from mem4nav.modular.model import load_model
from mem4nav.modular.recollection import MEMORY

def at(metres, heading, *seen):
    return Observation(f"at {metres}", (0.0, metres), heading, (0.0, 180.0), (heading + 180.0) % 360.0, seen)

agent = ModularAgent(load_model(sys.argv[1]), open_memory(config=MEMORY))
bank = Sighting("s1", "First Bank", "bank", {}, 90.0, 5.0)
walk = at(0.0, 0.0, bank), at(10.0, 0.0), at(20.0, 0.0)
agent.begin("Follow me.", walk[0])
for seen in walk:
    agent.act(seen)
agent.begin("Go back to the bank.", at(20.0, 0.0))
decisions = [agent.act(seen) for seen in (at(20.0, 0.0), at(20.0, 180.0), at(10.0, 180.0), at(0.0, 180.0, bank))]
print([decision.action.value for decision in decisions], decisions[0].recalled)
"""
    words = [sys.executable, "-c", script, str(WEIGHTS)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "['turn_around', 'forward', 'forward', 'stop'] ('First Bank (bank)',)"
