# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Files of tasks, one JSON object a line: what an agent may know apart from the truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mem4nav.environment import Episode
from sim_envs.errors import EpisodeError


@dataclass(frozen=True, slots=True)
class Task:
    """An episode, and its truth for training and scoring.

    Attributes:
        episode: what the agent gets.
        route: the panoramas of the annotated way, the last being the goal.
    """

    episode: Episode
    route: tuple[str, ...]


def load_split(path: str | Path) -> list[Task]:
    """The tasks of a Map2Seq or Touchdown file.

    Touchdown's ``start_heading`` is always 0 and says nothing; such rows start in the direction of traffic.

    Raises:
        EpisodeError: for a file that cannot be read, or a row without what a task needs (with its line).
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EpisodeError(f"cannot read {path}: {error}") from None
    return [_task(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _task(line: str, where: str) -> Task:
    try:
        row: dict[str, Any] = json.loads(line)
        route = tuple(str(place) for place in row["route_panoids"])
        name = str(row["route_id"] if "route_id" in row else row["id"])
        heading = None if "route_id" in row else float(row["start_heading"])
        return Task(Episode(name, str(row["navigation_text"]), route[0], heading), route)
    except KeyError as error:
        raise EpisodeError(
            f"{where}: the row has no {error}; a task has an id, navigation_text, route_panoids"
        ) from None
    except (ValueError, TypeError, IndexError) as error:
        raise EpisodeError(f"{where}: {error} in {line[:80]!r}") from None
