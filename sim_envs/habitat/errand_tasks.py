# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Several errands in one town without a reset: a tour that is shown, then ways back to what it passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.navigation.drivable import NAMEABLE
from sim_envs.city.navigation.town import Town, make_town
from sim_envs.habitat.episodes import HabitatEpisode, read_episodes, write_vln
from sim_envs.habitat.errors import HabitatError
from sim_envs.habitat.frames import upright_pose
from sim_envs.habitat.measures import resampled
from sim_envs.habitat.town import export_town
from sim_envs.habitat.town_episodes import RADIUS_M, on_navmesh, open_town, random_stand, town_config
from sim_envs.habitat.worker import Simulator

TOUR = "Come along and remember what you see."
_BACK = ("Go back to the {} that you passed.", "Return to a {} that you saw.", "Walk back to the {} you saw earlier.")
_BEGINNING = ("Walk back to where we began.", "Go back to where you started.")
_TRIES = 5000
_STRETCHES = (2, 6)
_SEEN_M, _CALLED_FOR_M, _DENSE_M = 15.0, 20.0, 1.0


@dataclass(frozen=True, slots=True)
class ErrandTask:
    """A tour and errands, in the order in which they come.

    Attributes:
        stage: what Habitat opens.
        tour: its reference is the way that is shown.
        errands: each may be done at any of its goals, and begins where the one before ended.
    """

    stage: Path
    tour: HabitatEpisode
    errands: tuple[HabitatEpisode, ...]


def make_errand_task(number: int, folder: Path, python: str | None = None) -> ErrandTask:
    """The task of a town, made where the folder does not hold it.

    Args:
        number: of the town.
        folder: gets the scene, its navmesh and town-....errands.json.gz.
        python: interpreter that has habitat_sim; found where not said.

    Raises:
        HabitatError: Habitat is missing, or the town gives no such tour.
    """
    config = town_config(number)
    scene = export_town(config, folder)
    path = folder / scene.stage.name.replace(".stage_config.json", ".errands.json.gz")
    if not path.exists():
        rng = np.random.default_rng([config.seed, 0xE44])
        with open_town(scene, python) as simulator:
            write_vln(path, _drawn(make_town(config), scene.stage.name, rng, simulator))
    tour, *errands = read_episodes(path)
    return ErrandTask(scene.stage, tour, tuple(errands))


def _drawn(town: Town, scene: str, rng: np.random.Generator, simulator: Simulator) -> list[HabitatEpisode]:
    for number in range(_TRIES):
        way = _tour(town, rng)
        passed = {} if way is None else _passed(town, way)
        # In some towns no tour has both classes behind it.
        if way is None or len(passed) < (2 if number < _TRIES // 2 else 1):
            continue
        walkable = on_navmesh(way, simulator)
        goals = {name: on_navmesh(places, simulator) for name, places in passed.items()}
        if walkable is not None and all(places is not None for places in goals.values()):
            return _episodes(f"{town.seed}", scene, walkable, goals, rng)
    raise HabitatError(f"town {town.seed} gave no tour past {', '.join(sorted(NAMEABLE))} in {_TRIES} tries")


def _tour(town: Town, rng: np.random.Generator) -> NDArray[np.float64] | None:
    """(N, 2) places from crossing to crossing, along streets that are new where possible."""
    stand = random_stand(town, rng)
    way = None if stand is None else town.graph.way_ahead(stand)
    if stand is None or way is None:
        return None
    places = town.plan.run(stand.number, way.target)
    for _ in range(int(rng.integers(*_STRETCHES))):
        onward = [place for place in town.graph.neighbours(places[-1]) if place != places[-2]]
        choice = [place for place in onward if place not in places] or onward
        places += town.plan.run(places[-1], choice[int(rng.integers(len(choice)))])[1:]
    return town.graph.positions[places]


def _passed(town: Town, way: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """(G, 2) where the tour is abreast of the things of each class, of those that one has to go back to."""
    line = resampled(np.column_stack([way, np.zeros(len(way))]), _DENSE_M)[:, :2]
    found: dict[str, NDArray[np.float64]] = {}
    for category in sorted(NAMEABLE):
        away = [np.linalg.norm(line - thing.position_m, axis=1) for thing in town.things if thing.category == category]
        places = line[[int(one.argmin()) for one in away if one.min() < _SEEN_M]]
        starts = [line[-1:], *found.values()]
        if len(places) and all(_apart_m(places, start) > _CALLED_FOR_M for start in starts):
            found[category] = places
    return found


def _apart_m(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(one[:, None] - other, axis=-1).min())


def _episodes(
    name: str, scene: str, way: NDArray[np.float64], goals: dict[str, NDArray[np.float64]], rng: np.random.Generator
) -> list[HabitatEpisode]:
    """The tour, an errand to each class in an order that is drawn, and one to where it began."""
    ahead = way[1] - way[0]
    start = upright_pose(way[0], float(np.arctan2(ahead[1], ahead[0])))
    tour = HabitatEpisode(f"{name}/0", scene, start, way[-1:], RADIUS_M, TOUR, reference=way)
    legs = [tour]
    for category in rng.permutation(sorted(goals)).tolist():
        legs.append(_leg(legs, goals[category], _one_of(_BACK, rng).format(category.replace("_", " "))))
    return [*legs, _leg(legs, way[:1], _one_of(_BEGINNING, rng))]


def _leg(before: Sequence[HabitatEpisode], goals: NDArray[np.float64], text: str) -> HabitatEpisode:
    last = before[-1]
    name = f"{last.id.partition('/')[0]}/{len(before)}"
    start = upright_pose(last.goals[0], 0.0)
    return replace(last, id=name, T_enu_base=start, goals=goals, instruction=text, reference=np.zeros((0, 3)))


def _one_of(texts: Sequence[str], rng: np.random.Generator) -> str:
    return texts[int(rng.integers(len(texts)))]
