# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``python -m nodes.interfaces``: build the message packages that are missing into the environment that runs it."""

from __future__ import annotations

import argparse
import logging
import sys

from nodes.interfaces.building import PACKAGES, BuildError, build


def main() -> int:
    """Build; 0: all there, 2: something cannot be built, with one line that says why."""
    parser = argparse.ArgumentParser(prog="python -m nodes.interfaces", description=__doc__)
    parser.add_argument("packages", nargs="*", default=list(PACKAGES), help="which of them; all otherwise")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        built = build(parser.parse_args().packages)
    except BuildError as error:
        sys.stderr.write(f"interfaces: {error}\n")
        return 2
    sys.stdout.write(f"built: {', '.join(built) or 'nothing, all are there'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
