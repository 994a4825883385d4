# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A setup of config/bringup.yaml as actions of ROS's launch; the files in ``launch/`` are one line each over this."""

from __future__ import annotations

import os

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from mem4nav.bringup.description import Argument, Bringup, load_bringup
from mem4nav.bringup.processes import NodeProcess, company_of
from mem4nav.bringup.supervisor import REFUSED

_RESPAWN_S = 1.0
PACKAGE = "mem4nav"


def launched(setup: str) -> LaunchDescription:
    """The arguments of a setup, and what it starts once they are known."""
    bringup = load_bringup()
    arguments = bringup.arguments_of(setup)
    declared = [_declared(name, one) for name, one in arguments.items()]
    return LaunchDescription([*declared, OpaqueFunction(function=_actions, args=[bringup, setup])])


def _declared(name: str, one: Argument) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(
        name, default_value=one.written, description=one.description, choices=list(one.choices) or None
    )


def _actions(context: LaunchContext, bringup: Bringup, setup: str) -> list:
    given = {name: LaunchConfiguration(name).perform(context) for name in bringup.arguments_of(setup)}
    company = company_of(bringup, setup, given, os.environ)
    actions: list = [SetEnvironmentVariable(name, value) for name, value in company.environment.items()]
    actions += [_node(one) for one in company.nodes]
    if company.viewer:
        actions.append(ExecuteProcess(cmd=list(company.viewer), output="screen"))
    return actions


def _node(one: NodeProcess) -> Node:
    return Node(
        package=PACKAGE, executable=f"{one.name}_node", namespace=one.namespace or None,
        parameters=[one.parameters] if one.parameters else None, remappings=list(one.remappings.items()),
        output="screen", respawn=not one.once, respawn_delay=_RESPAWN_S, on_exit=None if one.once else _refused,
    )  # fmt: skip


def _refused(event: ProcessExited, context: LaunchContext) -> list:
    """A node that cannot run as it was configured is not started again and again."""
    return [Shutdown(reason=f"{event.process_name} cannot run as it was configured")] * (event.returncode == REFUSED)
