# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Walking the tasks of towns under the common environment protocol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mem4nav.environment import Action, Episode, Observation
from sim_envs.city.camera import CameraConfig
from sim_envs.city.navigation.detector import DetectorConfig
from sim_envs.city.navigation.pictures import Photographer
from sim_envs.city.navigation.task import CityTask, Leg
from sim_envs.city.navigation.tasks import town_of
from sim_envs.city.navigation.town import make_town
from sim_envs.errors import EpisodeError
from sim_envs.street_environment import StreetEnvironment


class CityEnvironment:
    """The legs of tasks as episodes: each in its town, with its closed streets and its limit of actions.

    A guided leg is walked by taking ``Leg.way`` whatever the agent decides.

    Args:
        tasks: whose legs can be walked.
        detector: in place of the default one, for which alone the tasks are sure to be solvable.
        camera: renders ``Observation.image``, the view ahead, at every step; a second or so each. None: no images.
    """

    def __init__(
        self, tasks: Iterable[CityTask], detector: DetectorConfig | None = None, camera: CameraConfig | None = None
    ) -> None:
        self._legs = {leg.episode.id: (task.town, leg) for task in tasks for leg in task.legs}
        self._detector = detector
        self._camera = camera
        self._walk: StreetEnvironment | None = None
        self._photographer: Photographer | None = None

    def reset(self, episode: Episode) -> Observation:
        """Go to the episode's start and look.

        Raises:
            EpisodeError: for an episode that is no leg of the tasks.
        """
        town_seed, leg = self._leg_of(episode)
        config = town_of(town_seed)
        town = make_town(config, self._detector)
        number = town.graph.number
        self._walk = StreetEnvironment(town.graph, town.detections, leg.most_actions)
        self._walk.close_streets((number(a), number(b)) for a, b in leg.closed)
        if self._camera is not None and (self._photographer is None or self._photographer.town != config):
            self._photographer = Photographer(config, self._camera)
        return self._seen(self._walk.reset(episode))

    def step(self, action: Action) -> tuple[Observation, bool]:
        """Act; what is seen then, and whether the episode is over.

        Raises:
            EpisodeError: when no episode is running.
        """
        if self._walk is None:
            raise EpisodeError(f"{action.value} before any episode: reset the environment first")
        seen, done = self._walk.step(action)
        return self._seen(seen), done

    def _leg_of(self, episode: Episode) -> tuple[int, Leg]:
        if episode.id not in self._legs:
            raise EpisodeError(
                f"episode {episode.id!r} is none of the {len(self._legs)} legs of these tasks: were they made with "
                "another split or seed?"
            )
        return self._legs[episode.id]

    def _seen(self, observation: Observation) -> Observation:
        if self._photographer is None:
            return observation
        picture = self._photographer.view(observation.position_m, observation.heading_deg)
        return replace(observation, image=picture)
