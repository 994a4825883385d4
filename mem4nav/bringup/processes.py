# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""From the description and what was given to processes: parameters, remappings and environment of each."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from mem4nav.bringup.description import Bringup, NodeDescription, Value, filled
from mem4nav.bringup.rig import Rig, read_rig
from mem4nav.bringup.supervisor import STAND_BY
from mem4nav.errors import UsageError
from slam.shipped import shipped_file


@dataclass(frozen=True, slots=True)
class NodeProcess:
    """One node, ready to be started.

    Attributes:
        name: of the node, which is also that of its module in ``nodes``.
        namespace: "" or absolute.
        parameters, remappings: as ROS wants them.
        once: it does one thing and ends.
        spare: a second process stands by, ready to take its place.
    """

    name: str
    namespace: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    remappings: dict[str, str] = field(default_factory=dict)
    once: bool = False
    spare: bool = False

    def command(self, *options: str) -> list[str]:
        """What starts it with this Python; ``options`` are the node's own, before those of ROS."""
        words = [f"{name}:={_yaml(value)}" for name, value in self.parameters.items()]
        renamed = {"__ns": self.namespace} if self.namespace else {}
        names = [f"{old}:={new}" for old, new in (renamed | self.remappings).items()]
        ros = [part for word in words for part in ("-p", word)] + [part for name in names for part in ("-r", name)]
        return [sys.executable, "-m", f"nodes.{self.name}", *options, *(["--ros-args", *ros] if ros else [])]

    def spare_command(self) -> list[str]:
        """What starts its spare; empty where it has none."""
        return self.command(STAND_BY) if self.spare else []


@dataclass(frozen=True, slots=True)
class Company:
    """All that a setup starts.

    Attributes:
        nodes: in the order of the description.
        viewer: command of the program that shows it; empty: none.
        environment: variables of every process.
    """

    nodes: tuple[NodeProcess, ...]
    viewer: tuple[str, ...]
    environment: dict[str, str]


def company_of(bringup: Bringup, setup: str, given: Mapping[str, object], around: Mapping[str, str]) -> Company:
    """What runs together in a setup.

    Args:
        given: values of arguments, of any type that can be written.
        around: environment variables that are set already; they are left as they are.

    Raises:
        UsageError: an argument that is not known, or a value that does not fit.
        ConfigError, RecordingError: a configuration or bag that cannot be read.
    """
    values = bringup.values(setup, given)
    if values.get("bag") == "":
        raise UsageError(f"{setup} needs a bag: bag:=FOLDER")
    namespace = _namespace(str(values["namespace"]))
    rig = read_rig(str(values["config"]), str(values.get("bag", "")), bool(values["cameras"]))
    chosen = {name: one for name, one in bringup.setups[setup].nodes.items() if not one.when or values[one.when]}
    nodes = tuple(_node(name, one, values, rig, namespace, bringup) for name, one in chosen.items())
    files = {"profile": str(shipped_file("config/fastdds.xml")), "rviz": str(shipped_file("config/mem4nav.rviz"))}
    viewer = bringup.viewers.get(str(values["viewer"]), ())
    environment = {key: str(filled(value, files)) for key, value in bringup.environment.items() if key not in around}
    if "AMENT_PREFIX_PATH" not in around and (Path(sys.prefix) / "share" / "ament_index").is_dir():
        environment["AMENT_PREFIX_PATH"] = sys.prefix
    return Company(nodes, tuple(str(filled(word, files)) for word in viewer), environment)


def _node(
    name: str, about: NodeDescription, values: Mapping[str, Value], rig: Rig, namespace: str, bringup: Bringup
) -> NodeProcess:
    parameters = {key: filled(value, values) for key, value in about.parameters.items()}
    remappings = {old: str(filled(new, values)) for old, new in about.remappings.items()}
    if namespace:
        remappings = {topic: topic.lstrip("/") for topic in bringup.namespaced} | remappings
    node = NodeProcess(name, namespace, parameters, remappings, about.once, about.spare)
    if about.rig:
        node = _with_sensors(node, rig)
    if about.reliable:
        node = replace(node, parameters=node.parameters | _reliable(rig, namespace))
    if about.awaits_sensors:
        recorded = [f"/{topic}" for topic in rig.heard()]
        node = replace(node, parameters=node.parameters | {"wait_for": recorded})
    return node


def _with_sensors(node: NodeProcess, rig: Rig) -> NodeProcess:
    own: dict[str, Any] = {"base_frame": rig.base_frame}
    if node.name == "memory":
        own["camera"] = next(iter(rig.images), "")
    else:
        own |= {"config": str(rig.config or ""), "livox": rig.livox, "cameras": list(rig.images) or [""]}
    if node.name == "odometry":
        own["use_imu"] = bool(rig.imu)
    return replace(node, parameters=own | node.parameters, remappings=rig.remappings() | node.remappings)


def _reliable(rig: Rig, namespace: str) -> dict[str, str]:
    """ROS names these parameters by the whole name that a topic ends up with."""
    return {f"qos_overrides.{namespace}/{topic}.subscription.reliability": "reliable" for topic in rig.heard()}


def _namespace(given: str) -> str:
    name = given.strip("/")
    if name and not all(part.isidentifier() for part in name.split("/")):
        raise UsageError(f"namespace:={given}: letters, digits and underscores, the first no digit")
    return f"/{name}" if name else ""


def _yaml(value: Any) -> str:
    """A value as ROS's command line reads it; text that looks like a number stays text."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()
