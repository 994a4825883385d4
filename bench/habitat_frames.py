# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Frames of a Habitat that is asked in its own process: what the rate through the worker is held against.

Run by the interpreter that has habitat_sim, with what opens the scene and where to stand as JSON. Each line on standard
input is a number of frames; the answer is a line with the seconds that they took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sim_envs" / "habitat"))

from worker_main import Worker  # pyright: ignore[reportMissingImports]


def main() -> None:
    worker = Worker(None)
    worker.open(**json.loads(sys.argv[1]))
    worker.place(**json.loads(sys.argv[2]))
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            worker.sim.step("turn_left")
        print(f"seconds {time.perf_counter() - began}", flush=True)


if __name__ == "__main__":
    main()
