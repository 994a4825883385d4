# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What is installed, and whether it works: each part is tried in a process of its own, so that none can crash us."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

State = Literal["usable", "missing", "broken"]
TIMEOUT_S = 90
VERSION = "import importlib.metadata as m; print(m.version({!r}))"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that the stack can use.

    Attributes:
        name: as people call it.
        purpose: what it is needed for.
        probe: Python source that prints a version and fails where the part does not work.
        install: command that brings it.
    """

    name: str
    purpose: str
    probe: str
    install: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the probe of a part gave; ``detail`` is its version, or the last line of its error."""

    part: Part
    state: State
    detail: str


def _part(name: str, purpose: str, extra: str, probe: str) -> Part:
    target = f"mem4nav[{extra}]" if extra else "mem4nav"
    return Part(name, purpose, probe, f"pip install '{target}'")


def _module(name: str, purpose: str, extra: str, distribution: str | None = None) -> Part:
    probe = f"import {name}; {VERSION.format(distribution or name)}"
    return _part(distribution or name, purpose, extra, probe)


NUMBA = "import numba; assert numba.njit(lambda x: x + 1)(1) == 2; print(numba.__version__)"
OPEN3D = (
    "from sim_envs.city.raycast import load_open3d; o = load_open3d(); "
    "o.t.geometry.RaycastingScene(); print(o.__version__)"
)
TORCH_GPU = "import torch; assert torch.cuda.is_available(), 'no CUDA device'; print(torch.cuda.get_device_name(0))"
CUPY = (
    "import cupy; n = cupy.cuda.runtime.getDeviceCount(); assert int(cupy.arange(3).sum()) == 3; "
    "print(cupy.__version__, 'on', n, 'GPU')"
)
RCLPY = "import os, rclpy, sensor_msgs.msg; print(os.environ.get('ROS_DISTRO', 'from wheels'))"
MESSAGES = "import tf2_msgs.msg, vision_msgs.msg; print('tf2_msgs, vision_msgs')"
DDS = (
    "import os; p = [v for k in ('FASTRTPS', 'FASTDDS') if (v := os.environ.get(k + '_DEFAULT_PROFILES_FILE'))]; "
    "from slam.shipped import shipped_file; p = p or [str(shipped_file('config/fastdds.xml'))]; "
    "assert os.path.isfile(p[0]), 'no such file: ' + p[0]; print(p[0])"
)
LAUNCH = "import launch, launch_ros; print('ros2 launch mem4nav robot.launch.py')"
HABITAT_HINT = "python -m sim_envs.habitat.setup; or conda, and set MEM4NAV_HABITAT_PYTHON"

PARTS = (
    _module("numpy", "arrays", ""),
    _module("scipy", "numerics", ""),
    _part("numba", "CPU kernels of odometry", "", NUMBA),
    _module("rosbags", "bags without ROS", ""),
    _part("open3d", "rays of the simulated city", "sim", OPEN3D),
    _module("torch", "learning, Gaussian map", "nav"),
    _module("transformers", "language models", "nav"),
    _module("faiss", "memory search", "nav", "faiss-cpu"),
    _module("httpx", "remote language models", "nav"),
    _module("onnxruntime", "detector export", "detect"),
    _module("viser", "viewer", "viz"),
    _part("ROS 2", "nodes", "ros", RCLPY),
    Part("ROS messages", "tf, detections", MESSAGES, "python -m nodes.interfaces (needs g++), or apt install"),
    Part("DDS profile", "large messages", DDS, "FASTRTPS_DEFAULT_PROFILES_FILE=config/fastdds.xml"),
    Part("ROS launch", "launch files", LAUNCH, "comes with ROS 2 itself; mem4nav up does the same without"),
    _part("CuPy", "GPU kernels", "gpu", CUPY),
    Part("torch GPU", "training on a GPU", TORCH_GPU, "an NVIDIA driver, and pip install torch"),
    Part("Habitat", "indoor simulator", "import habitat_sim; print(habitat_sim.__version__)", HABITAT_HINT),
    _module("ray", "many machines", "cluster"),
    _module("pytest", "tests", "dev"),
    _module("ruff", "linter", "dev"),
)


def probe_all(workers: int = 2) -> list[Outcome]:
    """Try every part, ``workers`` at a time."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(probe, PARTS))


def probe(part: Part) -> Outcome:
    """Try one part with this Python; Habitat with its own."""
    python = sys.executable
    if part.name == "Habitat":
        python = _habitat_python() or python
    try:
        run = subprocess.run([python, "-c", part.probe], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as err:
        return Outcome(part, "broken", str(err).splitlines()[0][:120])
    if run.returncode == 0:
        return Outcome(part, "usable", (run.stdout.strip().splitlines() or [""])[-1])
    last = (run.stderr.strip().splitlines() or [f"ended with code {run.returncode}"])[-1]
    missing = last.startswith(("ModuleNotFoundError", "AssertionError: no CUDA device"))
    return Outcome(part, "missing" if missing else "broken", last[:120])


def _habitat_python() -> str | None:
    from sim_envs.errors import SimError
    from sim_envs.habitat.interpreter import find_interpreter

    try:
        return str(find_interpreter())
    except SimError:
        return None
