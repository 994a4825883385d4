# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest
import yaml

from slam.config import load
from slam.replay_config import ReplayConfig

FOLDER = Path(__file__).resolve().parents[1] / "config"
FAMILIES = ("velodyne", "ouster", "hesai", "livox", "city")


def test_the_shipped_configuration_loads_and_says_the_defaults():
    assert load(ReplayConfig, FOLDER / "odometry.yaml") == ReplayConfig()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_of_sensors_names_its_topics(name):
    recording = load(ReplayConfig, FOLDER / f"{name}.yaml").recording
    assert recording.points_topic and recording.imu_topic


def test_every_configuration_that_ships_is_one_of_these():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {"odometry", "bringup", *FAMILIES}


def test_layouts_of_viewers_show_topics_of_the_stack():
    rviz = yaml.safe_load((FOLDER / "mem4nav.rviz").read_text())
    shown = {one["Topic"]["Value"] for one in rviz["Visualization Manager"]["Displays"] if "Topic" in one}
    layout = json.loads((FOLDER / "mem4nav.foxglove.json").read_text())
    assert {"odom", "path", "points_registered", "map_points", "memory_markers", "detections_markers"} <= shown
    assert "points_registered" in layout["configById"]["3D!mem4nav"]["topics"]
