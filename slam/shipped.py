# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Files that ship beside the Python: ``cuda/``, ``config/``, ``launch/``."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from slam.errors import ConfigError


def shipped_file(name: str) -> Path:
    """Path of ``name``, such as ``cuda/voxels.cu``, in the source tree or where it was installed.

    Raises:
        ConfigError: it is in neither.
    """
    module = Path(__file__).resolve()
    # Beside the rooms in a source tree; else under a prefix: that of Python, of --user, or of a colcon workspace.
    roots = [module.parents[1], *(parent / "share" / "mem4nav" for parent in module.parents)]
    roots += [Path(sysconfig.get_path("data")) / "share" / "mem4nav"]
    for root in roots:
        if (path := root / name).is_file():
            return path
    raise ConfigError(f"{name} was not found under {roots[0]} nor under share/mem4nav: was it installed?")
