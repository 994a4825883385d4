# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The command ``mem4nav``: picks the subcommand, loads its module alone, and turns its end into an exit code.

A subcommand is a module of this folder with a function of the same name. tyro makes the options from the function's
signature and docstring; what the function returns (None or a number) is the exit code.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from detection.errors import DetectionError
from mem4nav import __version__
from mem4nav.errors import Mem4NavError
from sim_envs.errors import SimError
from slam.errors import SlamError

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 130

COMMANDS = {
    "demo": "simulate a drive through a town, replay it, and write a report",
    "simulate": "drive through the town and record a rosbag2",
    "replay": "odometry and map from a recording",
    "map": "a stored map: what it holds, its export, pictures of it",
    "view": "a map and the way through it in a browser, or as one HTML file",
    "evaluate": "errors of a trajectory against the truth",
    "detect": "3-D boxes from LiDAR and cameras: a detector learns, is judged, is put to work",
    "train": "an agent learns from annotated routes",
    "eval": "an agent follows the instructions of a benchmark, and is scored",
    "explain": "how an instruction is understood",
    "streets": "a street graph with landmarks from an OpenStreetMap extract of anyone's town",
    "up": "the nodes of ROS 2 as processes: on a robot, in the town, on a bag",
    "doctor": "what is installed and usable, and what is wrong with a bag",
}

EXTRAS = {
    "open3d": "sim",
    "torch": "nav",
    "viser": "viz",
    "rclpy": "ros",
    "cupy": "gpu",
    "ray": "cluster",
    "transformers": "nav",
    "httpx": "nav",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (``sys.argv`` where none is given) and return its exit code.

    0: done. 2: bad input, with one line on stderr. 130: interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return DONE if words else BAD_INPUT
    if words[0] == "--version":
        print(f"mem4nav {__version__}")
        return DONE
    if words[0] not in COMMANDS:
        return _fail(_unknown(words[0]))
    return _guarded(words[0], words[1:])


def _guarded(name: str, words: list[str]) -> int:
    try:
        return _run(name, words)
    except (SlamError, SimError, DetectionError, Mem4NavError) as error:
        return _fail(str(error))
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        return _fail(f"{name} needs {error.name}: pip install 'mem4nav[{EXTRAS[error.name]}]'")
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)


def _run(name: str, words: list[str]) -> int:
    import tyro

    function: Callable[..., Any] = getattr(importlib.import_module(f"mem4nav.cli.{name}"), name)
    try:
        code = tyro.cli(function, args=words, prog=f"mem4nav {name}", config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as end:  # --help, or options that tyro cannot read
        return end.code if isinstance(end.code, int) else BAD_INPUT
    return DONE if code is None else int(code)


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        ["usage: mem4nav COMMAND ...", "", "commands:", *lines, "", "mem4nav COMMAND --help shows a command's options."]
    )


def _unknown(word: str) -> str:
    near = difflib.get_close_matches(word, COMMANDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(COMMANDS)}"
    return f"unknown command {word!r}: {hint}"


def _fail(text: str, code: int = BAD_INPUT) -> int:
    print(f"mem4nav: {' '.join(text.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
