# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A plane map on disk: tensors in one safetensors file, and an SQLite record of which file is the current one.

The new file is written aside and renamed, then the record is changed in one transaction: a crash at any moment leaves
the map as it was last saved. The record holds the file's SHA-256, which is checked before anything is read.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from slam.config import load as load_config
from slam.config import to_dict
from slam.errors import MapError
from slam.files import write_bytes
from slam.octree import FREE, USED, PlaneMap
from slam.odometry_config import MapConfig

VERSION = 1
RECORD = "map.sqlite"
_SCHEMA = "CREATE TABLE IF NOT EXISTS map (id INTEGER PRIMARY KEY CHECK (id = 1), version INT, file TEXT, sha256 TEXT)"


def save_map(folder: str | Path, plane_map: PlaneMap) -> Path:
    """Store the map in ``folder``, in place of the one there; returns the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = save_tensors(_tensors(plane_map))
    digest = hashlib.sha256(data).hexdigest()
    name = f"planes-{digest[:16]}.safetensors"
    write_bytes(folder / name, data)
    with closing(sqlite3.connect(folder / RECORD)) as record, record:
        record.execute("PRAGMA journal_mode=WAL")
        record.execute(_SCHEMA)
        record.execute("INSERT OR REPLACE INTO map VALUES (1, ?, ?, ?)", (VERSION, name, digest))
    for old in folder.glob("planes-*.safetensors"):
        if old.name != name:
            old.unlink()
    return folder


def load_map(folder: str | Path, config: MapConfig | None = None) -> PlaneMap:
    """The map stored in ``folder``.

    Args:
        config: limits of the map from now on; sizes of voxels and depth come from the stored map in any case.

    Raises:
        MapError: where there is no map, or the stored one is damaged or of a newer version.
    """
    folder = Path(folder)
    tensors = load_tensors(_checked(folder))
    stored = _config(tensors)
    limits = config or MapConfig()
    kept = {name: getattr(limits, name) for name in ("reach_m", "max_age_scans", "sweep_scans")}
    plane_map = PlaneMap(load_config(MapConfig, overrides=to_dict(stored) | kept), max(1 << 15, len(tensors["meta"])))
    plane_map.restore(tensors)
    return plane_map


def _tensors(plane_map: PlaneMap) -> dict[str, np.ndarray]:
    a, used = plane_map.arrays, int(plane_map.arrays.counters[USED])
    held = a.slots >= 0
    tensors = {name: a._asdict()[name][:used] for name in ("children", "meta", "moments", "planes")}
    tensors |= {"keys": a.keys[held], "slots": a.slots[held], "free": a.free[: int(a.counters[FREE])]}
    settings = to_dict(plane_map.config)
    tensors["config"] = np.array([settings[name] for name in sorted(settings)], np.float64)
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}


def _config(tensors: dict[str, np.ndarray]) -> MapConfig:
    plain = to_dict(MapConfig())
    values = {n: type(plain[n])(v) for n, v in zip(sorted(plain), tensors["config"].tolist(), strict=True)}
    return load_config(MapConfig, overrides=values)


def _row(path: Path) -> tuple:
    """The record's row. In a folder that it may not write to, SQLite reads only what is declared immutable."""
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        return _read_row(uri)
    except sqlite3.OperationalError:
        return _read_row(f"{uri}&immutable=1")


def _read_row(uri: str) -> tuple:
    with closing(sqlite3.connect(uri, uri=True)) as record:
        return record.execute("SELECT version, file, sha256 FROM map").fetchone()


def _checked(folder: Path) -> bytes:
    """The bytes of the current file, as they were written."""
    path = folder / RECORD
    if not path.is_file():
        raise MapError(f"{folder}: no map here ({RECORD} is missing); a replay leaves one in map/ of its output folder")
    try:
        version, name, digest = _row(path)
        if [type(value) for value in (version, name, digest)] != [int, str, str]:
            raise TypeError(f"it holds {version!r}, {name!r}, {digest!r}")
    except (sqlite3.DatabaseError, TypeError) as error:
        raise MapError(f"{path}: the record of the map cannot be read ({error}); the file is damaged") from None
    if version > VERSION:
        raise MapError(f"{folder}: map of version {version}, this program reads up to {VERSION}: update it")
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise MapError(f"{folder / name}: the map's tensors cannot be read ({error.strerror})") from None
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise MapError(
            f"{folder / name}: damaged, {len(data)} bytes with SHA-256 {found[:12]}..., stored was {digest[:12]}..."
        )
    return data
