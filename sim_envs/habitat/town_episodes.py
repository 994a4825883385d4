# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Towns to walk through, each with written directions: a scene, its navmesh and an episode file in R2R's format."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim_envs.city import CityConfig
from sim_envs.city.navigation.clauses import Verb
from sim_envs.city.navigation.directions import Directions, make_directions
from sim_envs.city.navigation.drivable import NAMEABLE
from sim_envs.city.navigation.phrasing import say
from sim_envs.city.navigation.routing import stands_along
from sim_envs.city.navigation.town import Town, make_town
from sim_envs.habitat.config import HabitatConfig, SensorConfig, SensorKind
from sim_envs.habitat.episodes import HabitatEpisode, write_vln
from sim_envs.habitat.errors import HabitatError
from sim_envs.habitat.frames import upright_pose
from sim_envs.habitat.measures import DENSE_M, resampled
from sim_envs.habitat.town import TownScene, export_town
from sim_envs.habitat.worker import Simulator
from sim_envs.street_graph import Stand

log = logging.getLogger(__name__)

RADIUS_M = 3.0
EPISODES_PER_TOWN = 5
_FIRST_TOWN = 4_100_000
_TRIES = 3000
_LENGTH_M = (100.0, 230.0)
_MOST_DETOUR = 1.3
_OFF_STREET_M = 1.0


@dataclass(frozen=True, slots=True)
class WalkableTown:
    """A town on disk.

    Attributes:
        scene: what Habitat opens.
        episodes: file of them.
    """

    scene: TownScene
    episodes: Path


def town_config(number: int) -> CityConfig:
    """The town with a number; no detector has learned from any of them."""
    return CityConfig(seed=_FIRST_TOWN + number, streets=4, block_m=55.0)


def make_walkable_town(number: int, folder: Path, python: str | None = None) -> WalkableTown:
    """A town with its episodes, made where the folder does not hold it.

    Args:
        number: of the town.
        folder: gets the scene, its navmesh and town-....json.gz.
        python: interpreter that has habitat_sim; found where not said.

    Raises:
        HabitatError: Habitat is missing, or the town gives no routes.
    """
    config = town_config(number)
    scene = export_town(config, folder)
    path = folder / scene.stage.name.replace(".stage_config.json", ".json.gz")
    if path.exists():
        return WalkableTown(scene, path)
    with open_town(scene, python) as sim:
        episodes = _episodes(config, scene.stage.name, sim)
    write_vln(path, episodes, {one.id: resampled(one.reference, DENSE_M) for one in episodes})
    return WalkableTown(scene, path)


def open_town(scene: TownScene, python: str | None = None) -> Simulator:
    """A simulator to measure ways with: its one eye is as small as can be."""
    eye = (SensorConfig("eye", SensorKind.DEPTH, 8, 8),)
    return Simulator(HabitatConfig(scene.stage, navmesh=scene.navmesh, cell_m=scene.cell_m, sensors=eye), python)


def _episodes(config: CityConfig, scene: str, simulator: Simulator) -> list[HabitatEpisode]:
    town, rng = make_town(config), np.random.default_rng([config.seed, 0x4AB])
    found: list[HabitatEpisode] = []
    for _ in range(_TRIES):
        stand = random_stand(town, rng)
        directions = None if stand is None else make_directions(town, stand, rng)
        if stand is None or directions is None:
            continue
        name = f"{config.seed}-{len(found)}"
        episode = _episode(name, scene, town, stand, directions, rng, simulator)
        if episode is not None:
            found.append(episode)
        if len(found) == EPISODES_PER_TOWN:
            return found
    if not found:
        raise HabitatError(f"town {config.seed} gave no route of {_LENGTH_M} m in {_TRIES} tries")
    log.info("town %d gave %d routes only", config.seed, len(found))
    return found


def random_stand(town: Town, rng: np.random.Generator) -> Stand | None:
    """Somewhere between two crossings, facing either way; None where the section that was drawn is too short."""
    section = town.plan.sections[int(rng.integers(len(town.plan.sections)))]
    if len(section) < 5:
        return None
    return town.graph.stand(section[int(rng.integers(2, len(section) - 2))], float(rng.uniform(0.0, 360.0)))


def _episode(
    name: str, scene: str, town: Town, stand: Stand, directions: Directions, rng: np.random.Generator,
    simulator: Simulator,
) -> HabitatEpisode | None:  # fmt: skip
    """None where the directions name what has no class, or where the way is too long, too short, or a detour."""
    named = {clause.landmark.category for clause in directions.clauses if clause.landmark is not None}
    turns = sum(clause.verb is Verb.TURN for clause in directions.clauses)
    if named - NAMEABLE or not turns:
        return None
    stands = stands_along(town.graph, stand, directions.actions)
    places = [at.number for n, at in enumerate(stands) if not n or at.number != stands[n - 1].number]
    goal = _abreast(town, directions, places)
    if goal is None:
        return None
    way = np.concatenate([town.graph.positions[places[:-1]], goal[None]])
    length = float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())
    walkable = on_navmesh(way, simulator)
    if walkable is None or not _LENGTH_M[0] <= length <= _LENGTH_M[1]:
        return None
    geodesic = simulator.path(walkable[0], walkable[-1])[0]
    if length > _MOST_DETOUR * geodesic:
        return None
    start = upright_pose(walkable[0], float(np.radians(90.0 - stand.heading_deg)))
    return HabitatEpisode(
        name, scene, start, walkable[-1:], RADIUS_M, say(directions.clauses, rng), reference=walkable,
        geodesic_m=geodesic, trajectory=name,
    )  # fmt: skip


def _abreast(town: Town, directions: Directions, places: list[int]) -> NDArray[np.float64] | None:
    """(2,) the place on the middle of the last street abreast of the goal; None where that is not one thing."""
    landmark = directions.clauses[-1].landmark
    assert landmark is not None
    feet = [t.position_m for t in town.things if t.place == directions.goal and t.category == landmark.category]
    if len(feet) != 1 or len(places) < 2:
        return None
    before, last = town.graph.positions[places[-2]], town.graph.positions[places[-1]]
    along = (last - before) / np.linalg.norm(last - before)
    return last + float((feet[0] - last) @ along) * along


def on_navmesh(way: NDArray[np.float64], simulator: Simulator) -> NDArray[np.float64] | None:
    """(N, 3) the way's places (N, 2), all but the ends moved to where one can walk; None where an end is off."""
    snapped = []
    for number, (east, north) in enumerate(way.tolist()):
        found = simulator.snap([east, north, 0.0])
        end = number in (0, len(way) - 1)
        if found is None or (end and np.hypot(found[0] - east, found[1] - north) > _OFF_STREET_M):
            return None
        snapped.append(found)
    return np.array(snapped)
