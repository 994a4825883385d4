# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Habitat from here: a process of its own, asked through pipes, its pictures read from shared memory."""

from __future__ import annotations

import json
import logging
import mmap
import os
import select
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim_envs.habitat.config import HabitatConfig
from sim_envs.habitat.errors import HabitatError, WorkerDiedError
from sim_envs.habitat.frames import from_enu, pose_from_enu, pose_to_enu, to_enu
from sim_envs.habitat.interpreter import find_interpreter

log = logging.getLogger(__name__)

_SCRIPT = Path(__file__).with_name("worker_main.py")
_LAST_WORDS = 4


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the walker is after a request.

    Attributes:
        T_enu_base: (4, 4) its foot; x forward, z up.
        collided: the step ended at something.
        simulated_s: what Habitat took for it.
    """

    T_enu_base: NDArray[np.float64]
    collided: bool = False
    simulated_s: float = 0.0

    @property
    def position(self) -> NDArray[np.float64]:
        """(3,) metres, ENU."""
        return self.T_enu_base[:3, 3]


class Simulator:
    """One open scene. All positions are ENU, metres. A context manager; ``restart`` gives a fresh process.

    Args:
        config: scene, sensors and walker.
        python: interpreter that has habitat_sim; found where not said.

    Raises:
        HabitatError: no interpreter, or the scene cannot be opened.
    """

    def __init__(self, config: HabitatConfig, python: str | None = None) -> None:
        self.config, self._python = config, python or find_interpreter()
        self.version, self.area_m2 = "", 0.0
        self._offsets: dict[str, int] = {}
        end = 0
        for sensor in config.sensors:
            self._offsets[sensor.name] = end
            end += -(-sensor.size_bytes // 64) * 64
        self._fd = os.memfd_create("habitat")
        os.ftruncate(self._fd, end)
        self._shared = mmap.mmap(self._fd, end)
        self._process: subprocess.Popen[str] | None = None
        try:
            self.restart()
        except HabitatError:
            self.close()
            raise

    def restart(self) -> None:
        """End the process where one runs, start another, and open the scene in it."""
        self._end()
        answers, theirs = os.pipe()
        arguments = [self._python, "-W", "ignore", str(_SCRIPT), str(theirs), str(self._fd)]
        arguments += [str(len(self._shared)), str(os.getpid())]
        quiet = {"MAGNUM_LOG": "quiet", "HABITAT_SIM_LOG": "quiet", "OMP_NUM_THREADS": "1", "LP_NUM_THREADS": "1"}
        try:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                pass_fds=(theirs, self._fd), env=quiet | dict(os.environ),
            )  # fmt: skip
        except OSError as error:
            os.close(answers)
            raise HabitatError(f"{self._python} cannot be started: {error}") from None
        finally:
            os.close(theirs)
        self._answers, self._pending = answers, b""
        self._said: deque[str] = deque(maxlen=_LAST_WORDS)
        self._listener = Thread(target=self._said.extend, args=(self._process.stderr,), daemon=True)
        self._listener.start()
        self._open()

    def _open(self) -> None:
        c = self.config
        sensors = [
            asdict(sensor) | {"kind": sensor.kind.value, "offset": self._offsets[sensor.name]} for sensor in c.sensors
        ]
        opened = self._ask(
            "open", c.open_s, scene=str(c.scene), dataset=c.dataset and str(c.dataset),
            navmesh=c.navmesh and str(c.navmesh), cell_m=c.cell_m, sensors=sensors, body=asdict(c.body),
        )  # fmt: skip
        self.version, self.area_m2 = opened["version"], opened["area_m2"]

    @property
    def pid(self) -> int:
        """Of Habitat's process."""
        assert self._process is not None
        return self._process.pid

    def picture(self, name: str) -> NDArray[Any]:
        """What a sensor last saw: (H, W, 3) uint8, (H, W) float32 metres (0: nothing there) or (H, W) uint32.

        A view that the next request overwrites; copy what is to be kept. Depth is along the optical axis; in a
        panorama, along that of the face of the cube round the walker (ahead, left, up, ...) that a pixel lies on.
        """
        picture = self._picture(name)
        return picture[..., :3] if picture.ndim == 3 else picture

    def alpha(self, name: str) -> NDArray[np.uint8]:
        """(H, W) the fourth channel of an RGB sensor: towns of ours keep the reflectivity for LiDARs there."""
        return self._picture(name)[..., 3]

    def _picture(self, name: str) -> NDArray[Any]:
        sensor = next(one for one in self.config.sensors if one.name == name)
        flat = np.frombuffer(self._shared, sensor.dtype, int(np.prod(sensor.shape)), self._offsets[name])
        return flat.reshape(sensor.shape)

    def seed(self, seed: int) -> None:
        """Make what is random repeatable."""
        self._ask("seed", seed=seed)

    def place(self, T_enu_base: NDArray[np.float64]) -> Pose:
        """Put the walker down at (4, 4), without looking."""
        position, rotation = pose_from_enu(T_enu_base)
        return self._pose(self._ask("place", position=position.tolist(), rotation=rotation.tolist()))

    def step(self, action: str) -> Pose:
        """Do "forward", "left" or "right", and look."""
        return self._pose(self._ask("step", action=action))

    def act(self, action: str) -> Pose:
        """Do it without looking: the pictures stay as they were."""
        return self._pose(self._ask("act", action=action))

    def pose(self) -> Pose:
        """Where the walker is; nothing is rendered."""
        return self._pose(self._ask("pose"))

    def observe(self, names: Sequence[str] | None = None) -> Pose:
        """Look, with the sensors of these names, or with all: the other pictures stay as they were."""
        wanted = [sensor.name for sensor in self.config.sensors] if names is None else list(names)
        return self._pose(self._ask("observe", names=wanted))

    def path(self, start: ArrayLike, goals: ArrayLike) -> tuple[float, NDArray[np.float64]]:
        """Length (metres; inf: none) and corners (N, 3) of the shortest way from (3,) to the nearest of (G, 3)."""
        ends = np.atleast_2d(from_enu(goals))
        found = self._ask("path", start=from_enu(start).tolist(), goals=ends.tolist())
        length = np.inf if found["length_m"] is None else float(found["length_m"])
        return length, to_enu(np.reshape(found["points"], (-1, 3)))

    def distances(self, points: ArrayLike, goals: ArrayLike) -> NDArray[np.float64]:
        """(N,) metres on the shortest way from each of (N, 3) to the nearest of (G, 3); inf where there is none."""
        starts, ends = np.atleast_2d(from_enu(points)), np.atleast_2d(from_enu(goals))
        found = self._ask("distances", points=starts.tolist(), goals=ends.tolist())["length_m"]
        return np.array([np.inf if length is None else length for length in found], float)

    def snap(self, point: ArrayLike) -> NDArray[np.float64] | None:
        """(3,) the nearest walkable point; None where there is none near."""
        found = self._ask("snap", point=from_enu(point).tolist())
        return None if found["point"] is None else to_enu(found["point"])

    def random_point(self) -> NDArray[np.float64]:
        """(3,) somewhere walkable."""
        return to_enu(self._ask("random_point")["point"])

    def topdown(self, metres_per_pixel: float, height_m: float) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """(H, W) what is walkable near a height, north up, and (2,) east and north of its upper left corner."""
        found = self._ask("topdown", metres_per_pixel=metres_per_pixel, height=height_m)
        rows = [np.frombuffer(bytes.fromhex(row), np.uint8) for row in found["rows"]]
        cells = np.unpackbits(np.stack(rows), axis=1)[:, : found["width"]].astype(bool)
        east, _, south = found["corner"]
        return cells, np.array([east, -south])

    def close(self) -> None:
        """End the process."""
        self._end()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _pose(self, answer: dict[str, Any]) -> Pose:
        T = pose_to_enu(answer["position"], answer["rotation"])
        return Pose(T, bool(answer.get("collided")), float(answer.get("simulated_s", 0.0)))

    def _ask(self, request: str, limit_s: float | None = None, **arguments: Any) -> dict[str, Any]:
        if self._process is None or self._process.stdin is None:
            raise WorkerDiedError("Habitat's process is closed: restart it")
        try:
            self._process.stdin.write(json.dumps({"do": request, "with": arguments}) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._died(request) from None
        answer = json.loads(self._line(request, limit_s or self.config.answer_s))
        if "error" in answer:
            raise HabitatError(f"Habitat could not {request.replace('_', ' ')}: {answer['error']}")
        return answer

    def _line(self, request: str, limit_s: float) -> bytes:
        until = time.monotonic() + limit_s
        while b"\n" not in self._pending:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                self._end()
                raise WorkerDiedError(f"Habitat gave no answer to {request!r} in {limit_s:g} s, and was ended")
            got = os.read(self._answers, 1 << 20)
            if not got:
                raise self._died(request)
            self._pending += got
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _died(self, request: str) -> WorkerDiedError:
        assert self._process is not None
        code = self._process.wait(5.0)
        self._end()
        last = " ".join(line.strip() for line in self._said) or "it said nothing"
        return WorkerDiedError(f"Habitat's process ended with code {code} at {request!r}: {last}")

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None and self._process.stderr is not None
        self._listener.join()
        self._process.stderr.close()
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            log.debug("a request was under way when Habitat ended")
        os.close(self._answers)
        self._process = None
