# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Labelled scenes of the town for 3-D detection: a sweep, pictures all round, and boxes with what was seen of each."""

from sim_envs.city.scenes.catalogue import Catalogue, catalogue_of
from sim_envs.city.scenes.config import Rig, RigPlay, SceneConfig
from sim_envs.city.scenes.scene import KINDS, Scene, Things
from sim_envs.city.scenes.source import drive_scenes, mixed_scenes, town_scenes
from sim_envs.city.scenes.town import SceneTown

__all__ = [
    "KINDS",
    "Catalogue",
    "Rig",
    "RigPlay",
    "Scene",
    "SceneConfig",
    "SceneTown",
    "Things",
    "catalogue_of",
    "drive_scenes",
    "mixed_scenes",
    "town_scenes",
]
