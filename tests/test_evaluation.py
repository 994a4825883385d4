# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Episodes are walked, recorded, scored and spread over workers; a bad one costs nothing but itself."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from evaluation_worlds import MOST_ACTIONS, NothingToSee, Obedient, ObedientRecipe, episodes, hops, town
from mem4nav.environment import Action, Episode
from mem4nav.errors import EvaluationError
from mem4nav.evaluation import follow, read_predictions, score_all, spread, summarise, write_predictions
from sim_envs.street_environment import StreetEnvironment

ROOT = Path(__file__).resolve().parents[1]
WALK = Episode("walk", "forward forward left forward", "0,0", 90.0)


def walk(instruction: str, start: str = "0,0"):
    return ObedientRecipe().build()(Episode("one", instruction, start, 90.0))


def test_the_record_holds_where_the_agent_was_before_and_after_each_action():
    record = walk(WALK.instruction)
    assert record.actions == ["forward", "forward", "left", "forward", "stop"]
    assert record.panos == ["0,0", "1,0", "2,0", "2,0", "2,1", "2,1"]
    assert len(record.headings) == 6 and record.headings[0] == 90.0 and record.headings[3] == 0.0
    assert record.clauses == ["forward", "forward", "left", "forward", ""]
    assert record.recalled[1] == ["1,0"]
    assert record.confidence == pytest.approx(1 / 5) and not record.lost and not record.error


def test_who_never_stops_is_stopped_by_the_last_action():
    record = walk("left " * 500)
    assert len(record.actions) == MOST_ACTIONS and record.actions[-1] == "stop"
    assert record.actions[:-1] == ["left"] * (MOST_ACTIONS - 1)
    assert record.confidence == 0.0


@pytest.mark.parametrize("instruction", ["", "forward " * 12_500], ids=["empty", "100 kB"])
def test_instructions_of_any_length_are_walked(instruction):
    assert not walk(instruction).error


def test_who_is_guided_goes_where_it_is_led_and_watches():
    environment = StreetEnvironment(town(), NothingToSee(), MOST_ACTIONS)
    way = (Action.FORWARD, Action.LEFT, Action.FORWARD, Action.STOP)
    record = follow(environment, Obedient(), Episode("tour", "right right right", "0,0", 90.0), guide=way)
    assert record.actions == [action.value for action in way]
    assert record.panos[-1] == "1,1" and record.clauses == ["right", "right", "right", ""]


def test_a_failure_stands_in_the_record_with_what_was_done_before_it():
    record = walk("forward fail")
    assert record.error == "RuntimeError: told to"
    assert record.actions == ["forward"] and record.panos == ["0,0", "1,0"]
    missing = walk("forward", start="nowhere")
    assert "'nowhere'" in missing.error and missing.panos == []


def test_predictions_come_back_from_their_file(tmp_path):
    records = [walk("forward"), walk("fail"), walk("lost")]
    path = write_predictions(tmp_path / "predictions.jsonl", records)
    assert read_predictions(path) == records
    assert '"error"' not in path.read_text().splitlines()[0]


def test_a_line_that_is_no_prediction_is_named(tmp_path):
    path = tmp_path / "predictions.jsonl"
    path.write_text('{"id": "1"}\n{"name": "2"}\n')
    with pytest.raises(EvaluationError, match="line 2"):
        read_predictions(path)


def test_failed_episodes_count_as_not_completed_and_are_counted():
    records = [walk("forward"), walk("fail"), walk("forward"), walk("lost")]
    routes = [["0,0", "1,0"], ["0,0", "1,0"], ["0,0", "not there"], ["0,0", "5,5"]]
    scores = score_all(records, routes, hops())
    numbers = summarise(records, scores)
    assert (numbers["episodes"], numbers["failed"], numbers["lost"]) == (4, 2, 1)
    assert numbers["tc"] == 25.0 and numbers["tc_where_not_lost"] == 100.0
    assert numbers["spd"] == pytest.approx((0 + 10) / 2)
    assert numbers["confidence_auc"] == 1.0
    assert "'not there'" in records[2].error


def test_nothing_to_measure_gives_no_number():
    numbers = summarise([], [])
    assert numbers["episodes"] == 0 and math.isnan(numbers["tc"]) and numbers["confidence_auc"] is None


def test_two_processes_find_what_one_finds():
    jobs, seen = episodes(40), []
    alone = spread(ObedientRecipe(), jobs)
    together = spread(ObedientRecipe(), jobs, workers=2, advance=lambda: seen.append(1))
    assert together == alone
    assert sum(bool(one.error) for one in alone) == 4 and len(seen) == 40


@dataclass(frozen=True)
class Unbuildable:
    def build(self):
        raise EvaluationError("no such checkpoint")


@dataclass(frozen=True)
class Deadly:
    def build(self):
        return lambda job: os._exit(3)


def test_what_a_worker_cannot_build_is_told_and_a_dead_worker_is_no_hang():
    with pytest.raises(EvaluationError, match="no such checkpoint"):
        spread(Unbuildable(), [1, 2], workers=2)
    with pytest.raises(EvaluationError, match="died"):
        spread(Deadly(), [1, 2], workers=2)


ON_RAY = """
import sys
from pathlib import Path
from evaluation_worlds import ObedientRecipe, episodes
from mem4nav.evaluation import spread, write_predictions
write_predictions(Path(sys.argv[1]), spread(ObedientRecipe(), episodes(40), workers=2, ray="local"))
"""


def test_a_ray_cluster_of_two_finds_what_one_process_finds(tmp_path):
    pytest.importorskip("ray")
    path = tmp_path / "predictions.jsonl"
    # In a process of its own: Ray's threads and signal handlers stay out of the other tests.
    places = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    subprocess.run(
        [sys.executable, "-c", ON_RAY, path],
        env={**os.environ, "PYTHONPATH": places, "RAY_USAGE_STATS_ENABLED": "0"},
        check=True,
        timeout=300,
    )
    assert read_predictions(path) == spread(ObedientRecipe(), episodes(40))
