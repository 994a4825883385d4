# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How a node stands by, and how it ends when something in it fails."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not here: pip install 'mem4nav[ros]'", exc_type=ImportError)

from ros_processes import PATIENCE_S, ROOT, environment

pytestmark = pytest.mark.ros
NODE = """
from rclpy.node import Node
from nodes.running import run

class Frail(Node):
    def __init__(self):
        super().__init__("frail")
        self.create_timer(0.1, self.callback)

    def callback(self):
        {callback}

    def work(self, stopped):
        {work}

run(Frail, make_ready=lambda: print("ready", flush=True))
"""


@pytest.mark.parametrize(("callback", "work"), [("1 / 0", "stopped.wait()"), ("pass", "1 / 0")])
def test_a_node_with_a_callback_or_worker_that_fails_ends_so_that_it_can_be_started_again(callback, work):
    script = NODE.format(callback=callback, work=work)
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr


@pytest.fixture
def spare():
    script = NODE.format(callback='print("spun", flush=True)', work="stopped.wait()")
    process = subprocess.Popen(
        [sys.executable, "-c", script, "--stand-by"], env=environment(), cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_process_that_stands_by_becomes_the_node_once_it_is_told(spare):
    spare.stdin.write("\n")
    spare.stdin.flush()
    assert spare.stdout.readline() == "spun\n"
    spare.send_signal(signal.SIGINT)
    assert spare.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("end", ["a signal", "nobody is left who could tell it"])
def test_a_process_that_stands_by_ends_without_having_been_the_node(spare, end):
    spare.send_signal(signal.SIGTERM) if end == "a signal" else spare.stdin.close()
    assert spare.wait(PATIENCE_S) == 0 and "spun" not in spare.stdout.read()


def test_a_node_that_starts_frees_the_memory_of_one_that_was_killed(spare):
    def segments():
        maps = Path(f"/proc/{spare.pid}/maps").read_text()
        return set(re.findall(r"/dev/shm/fastrtps_[0-9a-f]{16}\b", maps))

    left = segments()
    time.sleep(1.1)  # a segment younger than a second may be one that is being made
    spare.kill()
    spare.wait()
    assert left and all(Path(one).exists() for one in left)
    script = NODE.format(callback="1 / 0", work="stopped.wait()")
    subprocess.run(
        [sys.executable, "-c", script], env=environment(), cwd=ROOT, stderr=subprocess.DEVNULL, timeout=PATIENCE_S
    )
    assert not any(Path(one).exists() for one in left)


@pytest.mark.parametrize("options", [[], ["--stand-by"]])
def test_a_signal_whose_exit_is_lost_in_a_callback_of_compiled_code_ends_the_node_all_the_same(options):
    lost = "ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), signal.SIGTERM))()"
    script = "import ctypes, os, signal\n" + NODE.format(callback="pass", work="stopped.wait()")
    script = script.replace('print("ready", flush=True)', lost if options else "None")
    script = script.replace('super().__init__("frail")', f'super().__init__("frail")\n        {lost}')
    words = [sys.executable, "-c", script, *options]
    with subprocess.Popen(words, env=environment(), cwd=ROOT, stdin=subprocess.PIPE) as process:
        try:
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
