# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""config/bringup.yaml as dataclasses, and what is given for its arguments."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mem4nav.errors import UsageError
from slam.config import load
from slam.shipped import shipped_file

Value = bool | int | float | str
_PLACE = re.compile(r"\$\{(\w+)\}")
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Argument:
    """What can be said when a setup is started.

    Attributes:
        description: one phrase, with the unit.
        default: its value otherwise, which also tells its type.
        choices: what it may be; empty: anything of its type.
    """

    description: str = ""
    default: Any = ""
    choices: tuple[str, ...] = ()

    @property
    def written(self) -> str:
        """The default as it would be given."""
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)

    def read(self, name: str, given: object) -> Value:
        """What was given, in the argument's type.

        Raises:
            UsageError: it is of another type, or not among the choices.
        """
        text = str(given)
        if self.choices and text not in self.choices:
            raise UsageError(f"{name}:={text}: it is one of {', '.join(self.choices)}")
        try:
            if isinstance(self.default, bool):
                return _WORDS[text.lower()]
            return type(self.default)(text)
        except (KeyError, ValueError):
            wanted = {bool: "true or false", int: "a whole number", float: "a number"}[type(self.default)]
            raise UsageError(f"{name}:={text}: it is {wanted} ({self.description})") from None


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """One node of a setup.

    Attributes:
        when: argument that has to be true, or not empty; "": it always runs.
        parameters: ROS parameters by name.
        remappings: names of its topics by its own names for them.
        rig: it hears the rig's sensors.
        reliable: it asks for every message of them.
        awaits_sensors: it sends nothing before somebody hears each of them.
        once: it does one thing and ends.
        spare: a second process stands by, ready to take its place.
    """

    when: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    remappings: dict[str, str] = field(default_factory=dict)
    rig: bool = False
    reliable: bool = False
    awaits_sensors: bool = False
    once: bool = False
    spare: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """Nodes that run together."""

    description: str = ""
    arguments: dict[str, Argument] = field(default_factory=dict)
    nodes: dict[str, NodeDescription] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Restart:
    """When a node that ended by itself is started again.

    Attributes:
        first_s: wait before the first time.
        most_s: the wait doubles each time, up to this.
        well_s: who has run for so long starts with ``first_s`` again.
        spare_s: who has run for so long gets its spare, where it has one; a spare takes its place without a wait, and
            gets its own at once where the one before had run for ``well_s``.
    """

    first_s: float = 0.1
    most_s: float = 10.0
    well_s: float = 30.0
    spare_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Bringup:
    """All of config/bringup.yaml; its comments say what is what."""

    environment: dict[str, str] = field(default_factory=dict)
    restart: Restart = field(default_factory=Restart)
    namespaced: tuple[str, ...] = ()
    viewers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    arguments: dict[str, Argument] = field(default_factory=dict)
    setups: dict[str, Setup] = field(default_factory=dict)

    def arguments_of(self, setup: str) -> dict[str, Argument]:
        """Arguments of a setup, its own first.

        Raises:
            UsageError: there is no such setup.
        """
        if setup not in self.setups:
            raise UsageError(f"no setup {setup!r}: {_nearest(setup, self.setups)}")
        own = self.setups[setup].arguments
        return own | {name: one for name, one in self.arguments.items() if name not in own}

    def values(self, setup: str, given: Mapping[str, object]) -> dict[str, Value]:
        """The value of each argument of a setup: what was given, else its default.

        Raises:
            UsageError: an unknown argument, named with the nearest known one, or a value that does not fit.
        """
        known = self.arguments_of(setup)
        for name in given:
            if name not in known:
                raise UsageError(f"{setup} has no argument {name!r}: {_nearest(name, known)}")
        return {name: one.read(name, given.get(name, one.default)) for name, one in known.items()}


def load_bringup(path: str | Path | None = None) -> Bringup:
    """Read a description; by default the one that ships.

    Raises:
        ConfigError: it cannot be read, or holds what is not known.
    """
    return load(Bringup, path or shipped_file("config/bringup.yaml"))


def filled(value: Any, values: Mapping[str, Value]) -> Any:
    """A value with ${argument} replaced; where that is all of it, it keeps the argument's type.

    Raises:
        UsageError: no such argument.
    """
    if not isinstance(value, str):
        return value
    if unknown := [name for name in _PLACE.findall(value) if name not in values]:
        raise UsageError(f"the description speaks of ${{{unknown[0]}}}: {_nearest(unknown[0], values)}")
    whole = _PLACE.fullmatch(value)
    return values[whole[1]] if whole else _PLACE.sub(lambda found: str(values[found[1]]), value)


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
