# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Tasks in towns: that they stay what they are, can be solved from what is seen, and need memory."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

pytest.importorskip("open3d")

from mem4nav.agent import Agent
from mem4nav.cli.train_demonstrations import EXERCISES, PLACES_BEYOND, city_lessons
from mem4nav.environment import Action, Episode, Observation
from sim_envs.city import CameraConfig
from sim_envs.city.navigation import (
    VERSION,
    CityEnvironment,
    CityTask,
    Leg,
    LegKind,
    NotebookAgent,
    OracleAgent,
    RandomAgent,
    Walk,
    digest,
    make_exercises,
    make_task,
    make_tasks,
    mean_outcome,
    score,
    walk_task,
)
from sim_envs.city.navigation.clauses import Verb
from sim_envs.city.navigation.tasks import town_seed_of
from sim_envs.errors import EpisodeError, SimConfigError

FROZEN = {2: "df6f5f6dc576343577e7ae76322f4fb8ed2667bf949c2279e8e76d5e962d0862"}


@cache
def tasks() -> tuple[CityTask, ...]:
    """All of one town."""
    return make_tasks("train", 0, 6)


@cache
def environment() -> CityEnvironment:
    return CityEnvironment(tasks())


def walks(task: CityTask, agent: Agent, world: CityEnvironment | None = None) -> list[tuple[Leg, Walk]]:
    return list(zip(task.legs, walk_task(task, world or environment(), agent), strict=True))


def success(make_agent: Callable[[CityTask], Agent], kind: LegKind) -> float:
    found = [
        score(task, leg, walk) for task in tasks() for leg, walk in walks(task, make_agent(task)) if leg.kind is kind
    ]
    return mean_outcome(found)[0]


def gold(task: CityTask, world: CityEnvironment | None = None) -> list[list[Observation]]:
    """What is seen on each leg by who takes its own way."""
    world, seen = world or environment(), []
    for leg in task.legs:
        seen.append([world.reset(leg.episode)])
        seen[-1] += [world.step(action)[0] for action in leg.way]
    return seen


def test_the_generator_is_frozen() -> None:
    assert digest(tasks()) == FROZEN[VERSION], "these tasks were measured on: a change of them is a new VERSION"


def test_tasks_are_the_same_whatever_kernels_linear_algebra_picks_for_the_processor() -> None:
    script = "from sim_envs.city.navigation import digest, make_tasks; print(digest(make_tasks('train', 0, 6)))"
    old = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"OPENBLAS_CORETYPE": "Nehalem"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert old.stdout.strip() == FROZEN[VERSION]


def test_exercises_are_walks_by_directions_in_the_towns_of_tasks() -> None:
    exercises = make_exercises(tasks(), 3)
    assert len(exercises) == 3 and {exercise.town for exercise in exercises} == {tasks()[0].town}
    for exercise in exercises:
        (leg,), (seen,) = exercise.legs, gold(exercise, CityEnvironment([exercise]))
        assert leg.kind is LegKind.DIRECTIONS and seen[-1].place == leg.goal


def test_lessons_of_towns_see_what_lies_beyond_the_goal_of_directions_and_of_nothing_else() -> None:
    lessons = list(city_lessons(0, 2))
    own, exercises = lessons[:-EXERCISES], lessons[-EXERCISES:]
    led = [leg.kind for task in tasks()[:2] for leg in task.legs]
    assert len(own) == len(led) and all(lesson.beyond for lesson in exercises)
    for lesson, kind in zip(own, led, strict=True):
        assert bool(lesson.beyond) == (kind is LegKind.DIRECTIONS) and lesson.led == (kind is LegKind.GUIDED)
    for lesson in exercises:
        walked = {seen.place for seen in lesson.demonstration.observations}
        assert not walked & {seen.place for seen in lesson.beyond} and len(lesson.beyond) <= PLACES_BEYOND


def test_a_task_is_the_same_whether_made_alone_or_with_others() -> None:
    assert make_task("train", 0, 4) == tasks()[4]


def test_kinds_take_turns_and_towns_of_splits_and_seeds_are_disjoint() -> None:
    assert [task.kind for task in tasks()] == ["return", "errands", "blocked"] * 2
    seeds = [(split, seed) for split in ("train", "dev", "test") for seed in (0, 1, 999)]
    towns = [{town_seed_of(split, seed, number) for number in range(6000)} for split, seed in seeds]
    assert all(len(own) == 1000 for own in towns) and len(set().union(*towns)) == 1000 * len(towns)
    assert {task.town for task in tasks()} == {town_seed_of("train", 0, 0)}


@pytest.mark.parametrize(("split", "seed", "number"), [("validation", 0, 0), ("dev", -1, 0), ("dev", 0, 6000)])
def test_a_task_that_cannot_be_is_refused(split: str, seed: int, number: int) -> None:
    with pytest.raises(SimConfigError, match=r"split|seed"):
        make_task(split, seed, number)


def test_every_leg_can_be_walked_within_its_limit_and_ends_at_its_goal() -> None:
    for task in tasks():
        for leg, seen in zip(task.legs, gold(task), strict=True):
            assert seen[-1].place == leg.goal and leg.way[-1] is Action.STOP
            assert len(leg.way) <= leg.most_actions
            walk = Walk([one.place for one in seen], leg.way)
            assert score(task, leg, walk).success and 0.0 < score(task, leg, walk).spl <= 1.0


def test_each_leg_begins_where_the_one_before_ended() -> None:
    for task in tasks():
        for before, leg in zip(task.legs, task.legs[1:], strict=False):
            assert leg.episode.start == before.goal


def test_memory_is_asked_for_what_was_detected_where_was_walked() -> None:
    for task in tasks():
        places: set[str] = set()
        links: set[tuple[str, str]] = set()
        told = []
        for leg, seen in zip(task.legs, gold(task), strict=True):
            steps = {(a.place, b.place) for a, b in itertools.pairwise(seen)}
            if leg.kind is LegKind.MEMORY:
                assert leg.goal in places
                assert all((a, b) in links or (b, a) in links for a, b in steps if a != b)
                landmark = leg.meaning[0].landmark
                assert (landmark is None) == (leg.meaning[0].verb is Verb.RETURN_TO_START)
                assert landmark is None or sum(landmark.matches(sighting) for sighting in told) >= 1
            places |= {one.place for one in seen}
            links |= steps
            told += [sighting for one in seen for sighting in one.landmarks]


def test_who_knows_the_town_or_remembers_all_succeeds_and_who_forgets_mostly_fails() -> None:
    assert success(OracleAgent, LegKind.MEMORY) >= 0.9
    assert success(lambda task: NotebookAgent(task, remembers=True), LegKind.MEMORY) >= 0.9
    assert success(lambda task: NotebookAgent(task, remembers=False), LegKind.MEMORY) <= 0.4
    assert success(lambda task: RandomAgent(seed=1), LegKind.MEMORY) <= 0.1


def test_who_stays_where_the_goal_is_has_walked_no_detour() -> None:
    task = tasks()[1]
    leg = replace(task.legs[0], goal=task.legs[0].episode.start, shortest_m=0.0)
    stays = Walk([leg.goal, leg.goal], [Action.STOP])
    assert score(task, leg, stays).success and score(task, leg, stays).spl == 1.0


def test_directions_need_no_memory() -> None:
    assert success(lambda task: NotebookAgent(task, remembers=False), LegKind.DIRECTIONS) >= 0.9


class BlindToClosuresOnTheWay(CityEnvironment):
    """Shows closed streets on errands, not while somebody leads."""

    def reset(self, episode: Episode) -> Observation:
        legs = [leg for task in tasks() for leg in task.legs]
        self.hidden = any(leg.episode.id == episode.id and leg.kind is LegKind.GUIDED for leg in legs)
        return self._censored(super().reset(episode))

    def step(self, action: Action) -> tuple[Observation, bool]:
        seen, done = super().step(action)
        return self._censored(seen), done

    def _censored(self, seen: Observation) -> Observation:
        return replace(seen, blocked_deg=()) if self.hidden else seen


def test_a_street_is_closed_between_two_walks_and_seen_closed_from_before_it_alone() -> None:
    blocked = [task for task in tasks() if task.kind == "blocked"]
    for task in blocked:
        tour, second, *errands = task.legs
        assert not tour.closed and second.closed and all(leg.closed == second.closed for leg in errands)
        first, later = gold(task)[:2]
        walked = {(a.place, b.place) for a, b in itertools.pairwise(first)}
        assert all((a, b) in walked or (b, a) in walked for a, b in second.closed)
        ends = {a for a, _ in second.closed}
        assert any(one.blocked_deg for one in later)
        assert all(bool(one.blocked_deg) == (one.place in ends) for one in later)


def test_who_has_not_noticed_the_closure_runs_out_of_actions_before_it() -> None:
    world = BlindToClosuresOnTheWay(tasks())
    for task in tasks():
        if task.kind == "blocked":
            for see, expected in ((environment(), True), (world, False)):
                leg, walk = walks(task, NotebookAgent(task, remembers=True), see)[2]
                assert score(task, leg, walk).success is expected


def test_an_agent_that_watches_a_guided_walk_goes_where_it_is_led() -> None:
    task = tasks()[0]
    leg, walk = walks(task, RandomAgent(seed=3))[0]
    assert leg.kind is LegKind.GUIDED
    assert tuple(walk.actions) == leg.way and walk.places[-1] == leg.goal


def test_ending_at_the_goal_without_a_stop_is_no_success() -> None:
    task = tasks()[0]
    leg = task.legs[1]
    places = [one.place for one in gold(task)[1]]
    assert score(task, leg, Walk(places, leg.way)).success
    assert not score(task, leg, Walk(places[:-1], leg.way[:-1])).success


def test_episodes_of_other_tasks_and_steps_out_of_turn_are_told() -> None:
    world = CityEnvironment(tasks())
    with pytest.raises(EpisodeError, match="before any episode"):
        world.step(Action.FORWARD)
    with pytest.raises(EpisodeError, match="none of the"):
        world.reset(Episode("elsewhere", "Go.", "p000"))
    world.reset(tasks()[0].legs[1].episode)
    assert world.step(Action.STOP)[1]
    with pytest.raises(EpisodeError, match="after the episode's end"):
        world.step(Action.FORWARD)


def test_a_picture_is_taken_where_a_camera_is_given_and_nowhere_else() -> None:
    episode = tasks()[0].legs[1].episode
    assert environment().reset(episode).image is None
    world = CityEnvironment(tasks(), camera=CameraConfig(width=32, height=24, samples=1))
    ahead = world.reset(episode).image
    aside = world.step(Action.TURN_AROUND)[0].image
    assert ahead is not None and aside is not None
    assert ahead.shape == (24, 32, 3) and ahead.dtype == np.uint8
    assert not np.array_equal(ahead, aside)
