# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Prints the seconds from this process's start to its first and tenth pose on a bag; run by ``bag_replay``."""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import json  # noqa: E402
import sys  # noqa: E402

from slam.io import open_recording  # noqa: E402
from slam.replay import replay  # noqa: E402


def main() -> None:
    times: list[float] = []
    replay(open_recording(sys.argv[1]), duration_s=2.0, on_result=lambda _: times.append(time.perf_counter() - BEGAN))
    print(json.dumps([times[0], times[9]]))


if __name__ == "__main__":
    main()
