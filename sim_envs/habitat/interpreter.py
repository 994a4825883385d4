# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which Python holds habitat-sim."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from sim_envs.habitat.errors import HabitatError

VARIABLE = "MEM4NAV_HABITAT_PYTHON"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mem4nav" / "habitat"
"""Where ``python -m sim_envs.habitat.setup`` puts it when it is not told where."""
TOWNS = CACHE.parent / "towns"
"""Where towns are kept when nobody says where."""


def find_interpreter() -> str:
    """Path of the Python that can import habitat_sim: that of the environment variable, of the set-up, or this one.

    Raises:
        HabitatError: where there is none, or the variable names no program.
    """
    if named := os.environ.get(VARIABLE):
        found = shutil.which(named)
        if found is None:
            raise HabitatError(f"{VARIABLE} is {named!r}, which is no program here")
        return found
    ours = CACHE / "bin" / "hab-python"
    if (CACHE / ".ready").exists() and ours.exists():
        return str(ours)
    if importlib.util.find_spec("habitat_sim") is not None:
        return sys.executable
    raise HabitatError(
        f"no habitat-sim here: run `python -m sim_envs.habitat.setup`, or set {VARIABLE} to a Python that has it"
    )
