# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``python -m sim_envs.habitat.setup [DEST] [--with-lab]``."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from sim_envs.habitat.errors import HabitatError
from sim_envs.habitat.interpreter import CACHE, VARIABLE
from sim_envs.habitat.setup.install import install

log = logging.getLogger(__name__)


def main() -> int:
    """Set up, and say where."""
    parser = argparse.ArgumentParser(prog="python -m sim_envs.habitat.setup", description="Set habitat-sim up here.")
    parser.add_argument("dest", type=Path, nargs="?", default=CACHE, help=f"folder, about 1 GB (default: {CACHE})")
    parser.add_argument("--with-lab", action="store_true", help="habitat-lab too, to check measures against")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        python = install(options.dest, options.with_lab)
    except HabitatError as error:
        log.error("%s", error)
        return 2
    hint = "" if options.dest == CACHE else f"; set {VARIABLE} to it"
    log.info("%s has habitat-sim%s", python, hint)
    return 0


if __name__ == "__main__":
    sys.exit(main())
