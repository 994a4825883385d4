# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Navigation in the procedural town: instructions from its own map, and tasks that need memory."""

from sim_envs.city.navigation.baselines import NotebookAgent, OracleAgent, RandomAgent
from sim_envs.city.navigation.detector import DetectorConfig
from sim_envs.city.navigation.environment import CityEnvironment
from sim_envs.city.navigation.scoring import Outcome, mean_outcome, score, walk_task
from sim_envs.city.navigation.task import CityTask, Leg, LegKind, Walk
from sim_envs.city.navigation.tasks import VERSION, digest, make_exercises, make_task, make_tasks

__all__ = [
    "VERSION",
    "CityEnvironment",
    "CityTask",
    "DetectorConfig",
    "Leg",
    "LegKind",
    "NotebookAgent",
    "OracleAgent",
    "Outcome",
    "RandomAgent",
    "Walk",
    "digest",
    "make_exercises",
    "make_task",
    "make_tasks",
    "mean_outcome",
    "score",
    "walk_task",
]
