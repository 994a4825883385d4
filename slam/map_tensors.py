# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Maps to tensors and back. What comes from a file is examined before compiled kernels, which check nothing, see it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from slam.config import load as load_config
from slam.config import to_dict
from slam.errors import ConfigError, MapError
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.gaussian_map.store import GaussianMap
from slam.octree import CLUTTER, DEPTH, FREE, SPLIT, STATE, USED, PlaneMap
from slam.odometry_config import MapConfig

Tensors = dict[str, NDArray]
C = TypeVar("C")

_NODES = ("children", "meta", "moments", "planes")
_LIMITS = ("reach_m", "max_age_scans", "sweep_scans")
_GAUSSIAN_LIMITS = ("keep_released", "waiting")
"""Settings that a map takes from who loads it; the others say what its tensors mean, and are stored with them."""

_VERSION_1 = (
    *("max_age_scans", "max_depth", "max_points", "max_thickness_m", "min_points", "noise_m", "reach_m"),
    *("sweep_scans", "voxel_m"),
)
"""The settings in the order in which version 1 kept their values."""


def of_planes(plane_map: PlaneMap) -> tuple[Tensors, dict[str, str]]:
    """The used part of the arrays, and the settings as metadata of their file."""
    a, used = plane_map.arrays, int(plane_map.arrays.counters[USED])
    held = a.slots >= 0
    tensors = {name: getattr(a, name)[:used] for name in _NODES}
    tensors |= {"keys": a.keys[held], "slots": a.slots[held], "free": a.free[: int(a.counters[FREE])]}
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}, {
        "map": json.dumps(to_dict(plane_map.config))
    }


def of_gaussians(gaussian_map: GaussianMap) -> tuple[Tensors, dict[str, str]]:
    """What ``gaussian_map`` holds in memory, and its settings as metadata of the file."""
    tensors = {name: np.asarray(value, order="C") for name, value in gaussian_map.tensors().items()}
    return tensors, {"gaussian_map": json.dumps(to_dict(gaussian_map.config))}


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
    if version == 1:
        stored = _settings_1(tensors.pop("config", np.zeros(0)), path)
    else:
        stored = _settings(MapConfig, data, "map", path)
    settings = _limited(stored, config or MapConfig(), _LIMITS)
    check(tensors, of_planes(PlaneMap(MapConfig(), 1))[0], path)
    _check_tree(tensors, settings.max_depth, path)
    plane_map = PlaneMap(settings, max(1 << 15, len(tensors["meta"])))
    plane_map.restore(tensors)
    return plane_map


def gaussian_settings(data: bytes, path: Path, config: GaussianMapConfig | None) -> GaussianMapConfig:
    """The settings that the Gaussians in the bytes of a file were stored with, their limits from ``config``.

    Raises:
        MapError: where there are none, or they cannot be read.
    """
    unpacked(data, path)
    stored = _settings(GaussianMapConfig, data, "gaussian_map", path)
    return _limited(stored, config or GaussianMapConfig(), _GAUSSIAN_LIMITS)


def restore_gaussians(gaussian_map: GaussianMap, data: bytes, path: Path) -> None:
    """Fill an empty Gaussian map from the bytes of a file.

    Raises:
        MapError: where tensors are missing, or are not what such a map has.
    """
    tensors = unpacked(data, path)
    check(tensors, gaussian_map.tensors(), path)
    if len({len(tensor) for tensor in tensors.values()}) != 1:
        raise MapError(f"{path}: tensors of one map differ in length: { ({n: len(t) for n, t in tensors.items()}) }")
    try:
        gaussian_map.restore(tensors)
    except (MapError, ValueError, IndexError) as error:
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


def _settings(cls: type[C], data: bytes, name: str, path: Path) -> C:
    """From the metadata of a safetensors file."""
    try:
        length = int.from_bytes(data[:8], "little")
        return load_config(cls, overrides=json.loads(json.loads(data[8 : 8 + length])["__metadata__"][name]))
    except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MapError(f"{path}: the map's settings cannot be read ({error})") from None


def _settings_1(values: NDArray, path: Path) -> MapConfig:
    try:
        kinds = to_dict(MapConfig())
        named = {n: type(kinds[n])(v) for n, v in zip(_VERSION_1, values.tolist(), strict=True)}
        return load_config(MapConfig, overrides=named)
    except (ConfigError, ValueError, TypeError) as error:
        raise MapError(f"{path}: the map's settings cannot be read ({error})") from None


def _limited(stored: Any, config: Any, limits: tuple[str, ...]) -> Any:
    return replace(stored, **{name: getattr(config, name) for name in limits})


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
