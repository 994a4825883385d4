# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The real Touchdown and Map2Seq streets (Chen et al. 2019; Schumann and Riezler 2021) in their published formats."""

from sim_envs.touchdown.osm_landmarks import OsmLandmarks
from sim_envs.touchdown.splits import Task, load_split
from sim_envs.touchdown.streets import load_streets

__all__ = ["OsmLandmarks", "Task", "load_split", "load_streets"]
