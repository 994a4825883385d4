# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Message packages without wheels: their definitions are the standard ones, and it is said why one cannot be built."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from nodes.interfaces import building
from nodes.interfaces.building import (
    DEFINITIONS,
    PACKAGES,
    BuildError,
    build,
    missing,
    without_bootstrap,
    write_package,
)
from sim_envs.city.ros_messages import RosMessages


def definitions() -> dict[str, str]:
    """Text of each message by its name in ROS."""
    files = sorted(DEFINITIONS.glob("*/msg/*.msg"))
    return {f"{path.parents[1].name}/msg/{path.stem}": path.read_text(encoding="utf-8") for path in files}


def fields_of(name: str, text: str):
    return get_types_from_msg(text, name)[name]


@pytest.mark.parametrize("name", [name for name in definitions() if name.startswith("tf2_msgs")])
def test_definitions_of_transforms_are_those_that_bags_are_read_with(name):
    standard = get_typestore(Stores.ROS2_JAZZY).fielddefs[name]
    assert fields_of(name, definitions()[name]) == standard


@pytest.mark.parametrize("name", [name for name in definitions() if name.startswith("vision_msgs")])
def test_definitions_of_detections_are_those_that_the_town_records_with(name):
    recorded = RosMessages().store.fielddefs[name]
    assert fields_of(name, definitions()[name]) == recorded


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_names_all_its_messages_and_what_they_are_made_of(name, tmp_path):
    write_package(name, tmp_path / name)
    cmake = (tmp_path / name / "CMakeLists.txt").read_text()
    messages = sorted(path.name for path in (tmp_path / name / "msg").iterdir())
    assert messages and all(f'"msg/{message}"' in cmake for message in messages)
    depends = {one.text for one in ElementTree.parse(tmp_path / name / "package.xml").getroot().iter("depend")}
    used = {part.split("/")[0] for text in definitions().values() for part in text.split() if "/" in part}
    assert depends == set(PACKAGES[name]) and used <= {*PACKAGES, "std_msgs", "geometry_msgs"}


def test_what_is_there_is_not_built_again(monkeypatch):
    monkeypatch.setattr(building, "missing", lambda packages: [])
    assert build() == []


def test_a_package_without_definitions_is_refused_by_name():
    with pytest.raises(BuildError, match="no definitions of mars_msgs; there are those of tf2_msgs"):
        build(["mars_msgs"])


def test_without_the_wheels_of_ros_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(building, "missing", list)
    monkeypatch.setattr(building.metadata, "distributions", lambda: [])
    with pytest.raises(BuildError, match=r"pip install 'mem4nav\[ros\]'"):
        build()


def test_a_child_in_another_environment_looks_for_its_own_libraries():
    ours = {"PATH": "/bin", "LD_LIBRARY_PATH": "/ours", building.GUARD: "1", "PYTHONPATH": "/ours"}
    assert without_bootstrap(ours) == {"PATH": "/bin"}


def test_built_messages_go_through_serialisation_unchanged():
    if missing() or missing(["rclpy"]):
        pytest.skip(f"not here: {', '.join([*missing(['rclpy']), *missing()])}")
    script = (
        "from rclpy.serialization import deserialize_message as read, serialize_message as write\n"
        "from geometry_msgs.msg import TransformStamped\n"
        "from tf2_msgs.msg import TFMessage\n"
        "from vision_msgs.msg import Detection3D, Detection3DArray\n"
        "tf = TFMessage(transforms=[TransformStamped(child_frame_id='base_link')])\n"
        "boxes = Detection3DArray(detections=[Detection3D(id='car 7')])\n"
        "assert read(write(tf), TFMessage) == tf and read(write(boxes), Detection3DArray) == boxes\n"
    )
    done = subprocess.run([sys.executable, "-c", script], env=without_bootstrap(os.environ), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
