# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Nodes as real processes that speak over DDS, and a node in this process that hears and talks to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not here: pip install 'mem4nav[ros]'", exc_type=ImportError)

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from std_srvs.srv import Trigger

from nodes.shared_memory import free_memory_of_the_dead

ROOT = Path(__file__).parents[1]
PATIENCE_S = 90.0
"""Kernels may have to be compiled before a node is ready."""
_ASKED_AGAIN_S = 15.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RELIABLE = {f"qos_overrides./{topic}.subscription.reliability": "reliable" for topic in ("points", "imu")}
"""Parameters of a node that is to hear every scan."""


def environment() -> dict[str, str]:
    """Of all the processes of this test run: a domain of its own on this host, and large messages that arrive."""
    return os.environ | {
        "ROS_DOMAIN_ID": str(1 + os.getpid() % 100),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(ROOT / "config" / "fastdds.xml"),
        "FASTDDS_DEFAULT_PROFILES_FILE": str(ROOT / "config" / "fastdds.xml"),
    }


class RunningNode:
    """One node's process; what it says goes to a file."""

    def __init__(self, name: str, parameters: Mapping[str, Any], log: Path, remap: Mapping[str, str]) -> None:
        words = [word for key, value in parameters.items() for word in ("-p", f"{key}:={_yaml(value)}")]
        words += [word for key, value in remap.items() for word in ("-r", f"{key}:={value}")]
        self.name, self._log = name, log
        with open(log, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"nodes.{name}", *(["--ros-args", *words] if words else [])],
                env=environment(), cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def said(self) -> str:
        """All that it has said so far."""
        return self._log.read_text(encoding="utf-8")

    def until_said(self, word: str) -> None:
        """Wait for a word in what it says."""
        end = time.monotonic() + PATIENCE_S
        while word not in self.said:
            assert self.process.poll() is None and time.monotonic() < end, f"{self.name}: no {word!r} in: {self.said}"
            time.sleep(0.02)

    def kill(self) -> None:
        """As ``kill -9``."""
        self.process.kill()
        self.process.wait()

    def stopped(self, *signals: int) -> int:
        """Its exit code after these signals, one right after the other."""
        for number in signals or (signal.SIGINT,):
            self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Its exit code once it ends."""
        return self.process.wait(PATIENCE_S)


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Company:
    """Starts nodes, hears what they say to each other, and leaves nothing running.

    with Company(tmp_path) as company:
        odom = company.hear(Odometry, "odom")
        company.start("odometry").until_said("ready")
        company.until(lambda: odom)
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._started, self._heard = folder, list[RunningNode](), list[list]()

    def __enter__(self) -> Company:
        os.environ.update({key: value for key, value in environment().items() if key.startswith(("ROS_", "FAST"))})
        self._context = Context()
        rclpy.init(context=self._context)
        self.node = Node("company", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._started:
            one.process.kill()
            one.process.wait()
        self.node.destroy_node()
        self._context.try_shutdown()
        free_memory_of_the_dead()

    def start(self, name: str, remap: Mapping[str, str] | None = None, **parameters: Any) -> RunningNode:
        """A node of ``nodes/`` with these parameters."""
        log = self._folder / f"{name}-{len(self._started)}.log"
        self._started.append(RunningNode(name, parameters, log, remap or {}))
        return self._started[-1]

    def hear(self, kind: type, topic: str, quality: QoSProfile | int = 200) -> list:
        """The list that what comes on a topic is put into."""
        heard: list = []
        self._heard.append(heard)
        self.node.create_subscription(kind, topic, heard.append, quality)
        return heard

    def until(
        self, condition: Callable[[], Any], what: str = "what was waited for", patience_s: float = PATIENCE_S
    ) -> None:
        """Listen until it is so."""
        end = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < end, (
                f"{what} did not come; heard {[len(one) for one in self._heard]}; "
                + "; ".join(f"{n.name}: {n.said}" for n in self._started)
            )
            self._executor.spin_once(0.05)

    def until_diagnosed(self, node: str, *phrases: str) -> DiagnosticArray:
        """The first diagnostic of a node that holds all the phrases."""
        heard = self.hear(DiagnosticArray, "/diagnostics")

        def found() -> list:
            mine = [one for one in heard if one.status[0].name == node]
            return [one for one in mine if all(phrase in one.status[0].message for phrase in phrases)]

        try:
            self.until(found)
        except AssertionError:
            said = {one.status[0].message for one in heard}
            raise AssertionError(f"no diagnostic of {node} with {phrases}, but {said}") from None
        return found()[0]

    def change(self, node: str, *transitions: int) -> None:
        """Take a lifecycle node through transitions; each has to succeed."""
        client = self.node.create_client(ChangeState, f"{node}/change_state")
        self.until(client.service_is_ready, f"the life cycle of {node}")
        for transition in transitions:
            future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
            self.until(future.done, f"an answer of {node}")
            assert future.result().success, f"{node}: transition {transition} failed"

    def ask(self, service: str) -> Trigger.Response:
        """The answer of a service that takes nothing; it is asked again where none comes.

        A node that has not met the client yet when it answers gives up after 100 ms, and the answer is lost.
        """
        client = self.node.create_client(Trigger, service)
        self.until(client.service_is_ready, f"service {service}")
        asked: list[tuple[float, Future]] = []

        def answers() -> list[Trigger.Response]:
            if not asked or time.monotonic() - asked[-1][0] > _ASKED_AGAIN_S:
                asked.append((time.monotonic(), client.call_async(Trigger.Request())))
            return [future.result() for _, future in asked if future.done()]

        self.until(answers, f"an answer of {service}")
        return answers()[0]


class Up:
    """``mem4nav up`` as a process; what it says goes to a file."""

    def __init__(self, log: Path, *words: str) -> None:
        self._log = log
        with open(log, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mem4nav.cli.main", "up", *words], env=environment(), cwd=ROOT, stdout=file,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    def __enter__(self) -> Up:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def children(self) -> dict[str, int]:
        """Process numbers of the nodes by name; of two of one name the older runs, and the younger stands by."""
        found, since = dict[str, int](), dict[str, int]()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().decode().split("\0")
                about = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(about[1]) == self.process.pid and "-m" in words:
                name, began = words[words.index("-m") + 1].removeprefix("nodes."), int(about[19])
                if began < since.get(name, began + 1):
                    found[name], since[name] = int(folder.name), began
        return found


def stamps(messages: Sequence) -> list[int]:
    """Stamps of messages with headers, nanoseconds."""
    return [one.header.stamp.sec * 1_000_000_000 + one.header.stamp.nanosec for one in messages]
