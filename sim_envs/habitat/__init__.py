# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Habitat: habitat-sim in a process of its own, on towns made here and on anyone's scenes."""

from sim_envs.habitat.config import AgentBody, HabitatConfig, SensorConfig, SensorKind
from sim_envs.habitat.errors import HabitatError, WorkerDiedError
from sim_envs.habitat.interpreter import find_interpreter
from sim_envs.habitat.worker import Pose, Simulator

__all__ = [
    "AgentBody", "HabitatConfig", "HabitatError", "Pose", "SensorConfig", "SensorKind", "Simulator",
    "WorkerDiedError", "find_interpreter",
]  # fmt: skip
