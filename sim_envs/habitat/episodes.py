# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Episode files of Habitat: R2R in continuous environments (VLN-CE), PointNav and ObjectNav, *.json.gz.

Positions and quaternions (xyzw) stand in the files in Habitat's frame, and here in ENU.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_envs.habitat.errors import HabitatError
from sim_envs.habitat.frames import from_enu, pose_from_enu, pose_to_enu, to_enu
from slam.files import write_bytes

POINT_RADIUS_M = 0.2
VIEW_RADIUS_M = 0.1
_PAD, _UNKNOWN = "<pad>", "<unk>"


@dataclass(frozen=True, slots=True, eq=False)
class HabitatEpisode:
    """One task.

    Attributes:
        id: of the episode in its file.
        scene: as its file names it: a path from the folder of scenes.
        T_enu_base: (4, 4) where it begins.
        goals: (G, 3) metres, ENU: stopping near one of them succeeds.
        radius_m: how near.
        instruction: written directions; "" where there are none.
        category: ObjectNav: what is looked for.
        reference: (N, 3) the way that the directions describe; (0, 3) where there is none.
        geodesic_m: shortest way from the start, as the file says; None where it does not.
        trajectory: R2R: several instructions describe one trajectory.
    """

    id: str
    scene: str
    T_enu_base: NDArray[np.float64]
    goals: NDArray[np.float64]
    radius_m: float
    instruction: str = ""
    category: str = ""
    reference: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    geodesic_m: float | None = None
    trajectory: str = ""


def read_episodes(path: Path) -> list[HabitatEpisode]:
    """The episodes of a file of any of the three kinds; of one without any, those of ``content/`` beside it.

    Raises:
        HabitatError: it cannot be read, or an episode lacks something (with its number).
    """
    content = _read(path)
    rows, by_category = content.get("episodes"), content.get("goals_by_category", {})
    if not isinstance(rows, list):
        raise HabitatError(f"{path} has no list of episodes: it is no episode file of Habitat")
    episodes = []
    for number, row in enumerate(rows):
        try:
            episodes.append(_episode(row, by_category))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise HabitatError(f"{path}, episode {number}: {type(error).__name__} {error}") from None
    if not episodes:
        parts = sorted((path.parent / "content").glob("*.json.gz"))
        return [episode for part in parts for episode in read_episodes(part)]
    return episodes


def read_ground_truth(path: Path) -> dict[str, NDArray[np.float64]]:
    """{episode: (N, 3) ENU} dense ways that annotators or followers took: VLN-CE's {split}_gt.json.gz.

    Raises:
        HabitatError: it cannot be read.
    """
    try:
        return {name: to_enu(np.reshape(row["locations"], (-1, 3))) for name, row in _read(path).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise HabitatError(f"{path} holds no ways: {type(error).__name__} {error}") from None


def write_vln(path: Path, episodes: Sequence[HabitatEpisode], ways: Mapping[str, NDArray[np.float64]] = {}) -> Path:
    """Write R2R VLN-CE's format; dense ways {episode: (N, 3) ENU}, where given, into {name}_gt.json.gz beside it."""
    words = sorted({word for episode in episodes for word in _words(episode.instruction)})
    vocabulary = {word: number for number, word in enumerate([_PAD, _UNKNOWN, *words])}
    rows = []
    for episode in episodes:
        tokens = [vocabulary[word] for word in _words(episode.instruction)]
        rows.append(_row(episode) | {
            "trajectory_id": episode.trajectory or episode.id,
            "reference_path": _rounded(from_enu(episode.reference)),
            "instruction": {"instruction_text": episode.instruction, "instruction_tokens": tokens},
        })  # fmt: skip
    if ways:
        name = path.name.removesuffix(".json.gz")
        _write(path.with_name(f"{name}_gt.json.gz"),
               {key: {"locations": _rounded(from_enu(way))} for key, way in ways.items()})  # fmt: skip
    return _write(path, {"episodes": rows, "instruction_vocab": {"word_list": list(vocabulary)}})


def write_pointnav(path: Path, episodes: Sequence[HabitatEpisode]) -> Path:
    """Write PointNav's format."""
    return _write(path, {"episodes": [_row(episode) for episode in episodes]})


def write_objectnav(path: Path, episodes: Sequence[HabitatEpisode]) -> Path:
    """Write ObjectNav's format; goals become view points of one object a place."""
    by_category: dict[str, list[Any]] = {}
    rows = []
    for episode in episodes:
        key = _category_key(episode.scene, episode.category)
        views = [{"agent_state": {"position": goal, "rotation": [0.0, 0.0, 0.0, 1.0]}, "iou": 0.0}
                 for goal in _rounded(from_enu(episode.goals))]  # fmt: skip
        by_category[key] = [
            {"position": view["agent_state"]["position"], "object_id": number, "object_name": episode.category,
             "object_category": episode.category, "view_points": [view]}
            for number, view in enumerate(views)
        ]  # fmt: skip
        rows.append(_row(episode) | {"object_category": episode.category, "goals": []})
    numbers = {name: number for number, name in enumerate(sorted({episode.category for episode in episodes}))}
    return _write(path, {
        "episodes": rows, "goals_by_category": by_category, "category_to_task_category_id": numbers,
        "category_to_scene_annotation_category_id": numbers,
    })  # fmt: skip


def _episode(row: Mapping[str, Any], by_category: Mapping[str, Any]) -> HabitatEpisode:
    category = row.get("object_category") or ""
    goals, radius = _goals(row, by_category.get(_category_key(row["scene_id"], category), []))
    instruction = row.get("instruction") or {}
    reference = to_enu(np.reshape(row.get("reference_path") or [], (-1, 3)))
    length = (row.get("info") or {}).get("geodesic_distance")
    return HabitatEpisode(
        str(row["episode_id"]), row["scene_id"], pose_to_enu(row["start_position"], row["start_rotation"]), goals,
        radius, instruction.get("instruction_text", ""), category, reference,
        None if length is None else float(length), str(row.get("trajectory_id", "")),
    )  # fmt: skip


def _goals(row: Mapping[str, Any], of_category: Sequence[Mapping[str, Any]]) -> tuple[NDArray[np.float64], float]:
    """(G, 3) ENU, and the radius: of the view points of objects, else of the goals themselves."""
    goals = row.get("goals") or of_category
    views = [view["agent_state"]["position"] for goal in goals for view in goal.get("view_points") or []]
    points = to_enu(np.reshape(views or [goal["position"] for goal in goals], (-1, 3)))
    if not len(points):
        raise ValueError("it has no goal")
    return points, VIEW_RADIUS_M if views else float(goals[0].get("radius") or POINT_RADIUS_M)


def _row(episode: HabitatEpisode) -> dict[str, Any]:
    position, rotation = pose_from_enu(episode.T_enu_base)
    goals = [{"position": goal, "radius": episode.radius_m} for goal in _rounded(from_enu(episode.goals))]
    info = {} if episode.geodesic_m is None else {"geodesic_distance": round(episode.geodesic_m, 6)}
    return {
        "episode_id": episode.id, "scene_id": episode.scene, "start_position": _rounded(position),
        "start_rotation": _rounded(rotation), "info": info, "goals": goals,
    }  # fmt: skip


def _category_key(scene: str, category: str) -> str:
    return f"{Path(scene).name}_{category}"


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def _rounded(values: NDArray[np.float64]) -> Any:
    return np.round(values, 6).tolist()


def _read(path: Path) -> dict[str, Any]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, EOFError, ValueError) as error:
        raise HabitatError(f"cannot read {path}: {error}") from None
    if not isinstance(content, dict):
        raise HabitatError(f"{path} holds a {type(content).__name__}, not an object")
    return content


def _write(path: Path, content: dict[str, Any]) -> Path:
    # Without the time, so that the same episodes are the same bytes.
    return write_bytes(path, gzip.compress(json.dumps(content).encode(), mtime=0))
