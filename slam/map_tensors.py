# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Maps to tensors and back. What comes from a file is examined before compiled kernels, which check nothing, see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from slam.config import load as load_config
from slam.config import to_dict
from slam.errors import ConfigError, MapError
from slam.octree import CLUTTER, DEPTH, FREE, SPLIT, STATE, USED, PlaneMap
from slam.odometry_config import MapConfig

Tensors = dict[str, NDArray]

_NODES = ("children", "meta", "moments", "planes")
_LIMITS = ("reach_m", "max_age_scans", "sweep_scans")
_VERSION_1 = (
    *("max_age_scans", "max_depth", "max_points", "max_thickness_m", "min_points", "noise_m", "reach_m"),
    *("sweep_scans", "voxel_m"),
)
"""The settings in the order in which version 1 kept their values."""


class Restorable(Protocol):
    """A map that gives its state as tensors and takes it back."""

    def tensors(self) -> Tensors:
        """The state."""
        ...

    def restore(self, tensors: Tensors) -> None:
        """Take over a state."""
        ...


def of_planes(plane_map: PlaneMap) -> tuple[Tensors, dict[str, str]]:
    """The used part of the arrays, and the settings as metadata of their file."""
    a, used = plane_map.arrays, int(plane_map.arrays.counters[USED])
    held = a.slots >= 0
    tensors = {name: getattr(a, name)[:used] for name in _NODES}
    tensors |= {"keys": a.keys[held], "slots": a.slots[held], "free": a.free[: int(a.counters[FREE])]}
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}, {
        "map": json.dumps(to_dict(plane_map.config))
    }


def planes(data: bytes, path: Path, version: int, config: MapConfig | None) -> PlaneMap:
    """The plane map in the bytes of a file.

    Args:
        path: of the file, for errors.
        version: 1 kept the settings as a tensor, 2 keeps them as metadata.
        config: limits of the map from now on.

    Raises:
        MapError: where tensors or settings are missing, or are not what a map has.
    """
    tensors = unpacked(data, path)
    stored = _settings(tensors.pop("config", None) if version == 1 else None, data, path)
    limits = to_dict(config or MapConfig())
    kept = {name: limits[name] for name in _LIMITS}
    nodes = len(tensors["meta"]) if "meta" in tensors else 0
    plane_map = PlaneMap(load_config(MapConfig, overrides=to_dict(stored) | kept), max(1 << 15, nodes))
    check(tensors, of_planes(PlaneMap(MapConfig(), 1))[0], path)
    _check_tree(tensors, plane_map.config.max_depth, path)
    plane_map.restore(tensors)
    return plane_map


def restore_gaussians(gaussian_map: Restorable, data: bytes, path: Path) -> None:
    """Fill an empty Gaussian map from the bytes of a file.

    Raises:
        MapError: where tensors are missing, or are not what such a map has.
    """
    tensors = unpacked(data, path)
    check(tensors, gaussian_map.tensors(), path)
    try:
        gaussian_map.restore(tensors)
    except (ValueError, IndexError, KeyError) as error:
        raise MapError(f"{path}: these tensors make no Gaussian map: {error}") from None


def unpacked(data: bytes, path: Path) -> Tensors:
    """The tensors in the bytes of a safetensors file.

    Raises:
        MapError: when they are no such file.
    """
    try:
        return load_tensors(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise MapError(f"{path}: no safetensors file, {len(data)} bytes ({error})") from None


def check(tensors: Tensors, like: Tensors, path: Path) -> None:
    """That ``tensors`` are those of ``like``, of their types and of their shapes but for the first axis, and finite.

    Raises:
        MapError: names the first that is not.
    """
    missing = sorted(set(like) - set(tensors))
    if missing:
        raise MapError(
            f"{path}: the map lacks {', '.join(missing)}; it holds {', '.join(sorted(tensors)) or 'nothing'}"
        )
    for name, wanted in like.items():
        found = tensors[name]
        if found.dtype != wanted.dtype or found.ndim != wanted.ndim or found.shape[1:] != wanted.shape[1:]:
            expected = f"{wanted.dtype} (N{''.join(f', {n}' for n in wanted.shape[1:])})"
            raise MapError(f"{path}: {name} is {found.dtype} {found.shape}, a map has {expected}")
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise MapError(f"{path}: {name} holds {int((~np.isfinite(found)).sum())} values that are not finite")


def _settings(old: NDArray | None, data: bytes, path: Path) -> MapConfig:
    try:
        if old is not None:
            kinds = to_dict(MapConfig())
            values = {n: type(kinds[n])(v) for n, v in zip(_VERSION_1, old.tolist(), strict=True)}
        else:
            length = int.from_bytes(data[:8], "little")
            values = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["map"])
        return load_config(MapConfig, overrides=values)
    except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MapError(f"{path}: the map's settings cannot be read ({error})") from None


def _check_tree(tensors: Tensors, max_depth: int, path: Path) -> None:
    """That every number of a node is one, and every way down ends."""
    nodes = len(tensors["meta"])
    if any(len(tensors[name]) != nodes for name in _NODES) or len(tensors["slots"]) != len(tensors["keys"]):
        raise MapError(f"{path}: tensors of one map differ in length: { ({n: len(t) for n, t in tensors.items()}) }")
    for name, least in (("slots", 0), ("free", 0), ("children", -1)):
        numbers = tensors[name]
        if numbers.size and not least <= int(numbers.min()) <= int(numbers.max()) < nodes:
            raise MapError(f"{path}: {name} names nodes from {numbers.min()} to {numbers.max()}, there are {nodes}")
    live = np.ones(nodes, bool)
    live[tensors["free"]] = False
    states, depths = tensors["meta"][live, STATE], tensors["meta"][live, DEPTH]
    if states.size and (min(states.min(), depths.min()) < 0 or states.max() > CLUTTER):
        raise MapError(f"{path}: nodes have states up to {states.max()} and depths from {depths.min()}")
    parents = np.flatnonzero(live & (tensors["meta"][:, STATE] == SPLIT))
    children = tensors["children"][parents]
    depth = np.where(children >= 0, tensors["meta"][children, DEPTH] - tensors["meta"][parents, DEPTH, None], 1)
    roots = tensors["meta"][tensors["slots"], DEPTH]
    if (depth != 1).any() or roots.any() or (depths.size and depths.max() > max_depth):
        raise MapError(f"{path}: nodes do not lie one level below their parents, from 0 for roots to {max_depth}")
