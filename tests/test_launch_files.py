# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The launch files, read by ROS's own launch: they declare what the description says, and start its nodes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip(
    "launch.actions", reason="ROS's launch is not here: it comes with ROS 2 itself", exc_type=ImportError
)
pytest.importorskip("launch_ros.actions", reason="launch_ros is not here", exc_type=ImportError)

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument
from launch_ros.actions import Node

from mem4nav.bringup.description import load_bringup

FOLDER = Path(__file__).resolve().parents[1] / "launch"


@pytest.fixture(params=["robot", "sim"])
def setup(request) -> str:
    return request.param


@pytest.fixture
def description(setup):
    spec = importlib.util.spec_from_file_location(setup, FOLDER / f"{setup}.launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def test_every_argument_is_declared_with_its_description(setup, description):
    declared = {one.name: one.description for one in description.entities if isinstance(one, DeclareLaunchArgument)}
    assert declared == {name: one.description for name, one in load_bringup().arguments_of(setup).items()}


def test_the_nodes_of_the_setup_are_started_and_started_again(setup, description):
    context = LaunchContext()
    for one in description.entities:
        if isinstance(one, DeclareLaunchArgument):
            one.execute(context)
    nodes = [one for one in description.entities[-1].execute(context) if isinstance(one, Node)]
    assert len(nodes) == len(load_bringup().setups[setup].nodes)
