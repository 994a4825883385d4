# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A map on disk: tensors in safetensors files, and an SQLite record of which files are the current ones.

The planes are one file, the Gaussians in memory another, and each region that the drive left behind one more. New files
are written aside and renamed, then the record is changed in one transaction, then old files are removed: a crash at
any moment leaves the map as it was last saved. The record holds each file's SHA-256, checked before anything is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray
from safetensors.numpy import save as save_tensors

from slam import map_tensors
from slam.errors import MapError
from slam.files import write_bytes
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.gaussian_map.regions import Key, RegionStore, link_or_copy, unpacked
from slam.gaussian_map.store import GaussianMap
from slam.map_record import (
    RECORD,
    VERSION,
    Part,
    Record,
    read_record,
    remove_unreferenced,
    replace_parts,
    sync_folder,
    writing,
)
from slam.octree import PlaneMap
from slam.odometry_config import MapConfig

__all__ = ["RECORD", "VERSION", "StoredRegions", "damage", "load_gaussian_map", "load_map", "save_map"]

Tensors = dict[str, NDArray]
T = TypeVar("T")

_TRIES = 10


def save_map(folder: str | Path, plane_map: PlaneMap, gaussian_map: GaussianMap | None = None) -> Path:
    """Store the map in ``folder``, in place of the one there; returns the folder.

    The regions of ``gaussian_map`` are taken over by hard links where the disk has them, else copied. The optimiser's
    moments are not stored.

    Raises:
        MapError: when another process is saving there and does not end.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with writing(folder) as record:
        parts = []
        if gaussian_map is not None:  # first: it may settle in the octree, and hand over what waits for its regions
            parts.append(_write(folder, "gaussians", save_tensors(*map_tensors.of_gaussians(gaussian_map))))
            parts += _take_regions(folder, gaussian_map.regions)
        parts.append(_write(folder, "planes", save_tensors(*map_tensors.of_planes(plane_map))))
        sync_folder(folder)
        replace_parts(record, parts)
    remove_unreferenced(folder)
    return folder


def load_map(folder: str | Path, config: MapConfig | None = None) -> PlaneMap:
    """The planes of the map stored in ``folder``.

    Args:
        config: limits of the map from now on; sizes of voxels and depth come from the stored map in any case.

    Raises:
        MapError: where there is no map, or the stored one is damaged or of a newer version.
    """
    return _current(Path(folder), lambda record: _planes(Path(folder), record, config))


def load_gaussian_map(
    folder: str | Path,
    regions: RegionStore | StoredRegions | None = None,
    *,
    map_config: MapConfig | None = None,
    config: GaussianMapConfig | None = None,
) -> GaussianMap | None:
    """The Gaussians stored in ``folder``, in the octree of the planes stored with them; None where only planes are.

    Args:
        regions: for a drive that goes on, a store that takes over the stored regions, by hard links, in place of those
            in it; None to look at the map: the regions are then read where they are.
        map_config: limits of the plane map from now on.
        config: limits of the Gaussian map from now on; levels, coefficients and sides of regions are the stored ones.

    Raises:
        MapError: as ``load_map``.
    """
    folder = Path(folder)

    def read(record: Record) -> GaussianMap | None:
        if "gaussians" not in record.parts:
            return None
        part = record.parts["gaussians"]
        data = _checked(folder, part)
        settings = map_tensors.gaussian_settings(data, folder / part.file, config)
        store = StoredRegions(folder) if regions is None else regions
        gaussian_map = GaussianMap(_planes(folder, record, map_config), settings, store)
        map_tensors.restore_gaussians(gaussian_map, data, folder / part.file)
        _hand_over(folder, record, store)
        return gaussian_map

    return _current(folder, read)


def damage(folder: str | Path) -> list[str]:
    """What is wrong with each damaged part of a stored map, a sentence each; empty where all is well.

    Raises:
        MapError: when there is no map, or its record itself is damaged or of a newer version.
    """
    folder, found = Path(folder), []
    record = read_record(folder)
    for part in record.parts.values():
        try:
            _compare(folder / part.file, *_file_digest(folder / part.file), part)
        except MapError as error:
            found.append(str(error))
    return found


class StoredRegions:
    """The regions of a stored map, to be read where they are; has what a Gaussian map asks of a ``RegionStore``."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._parts = _regions(read_record(self.folder))

    def keys(self) -> list[Key]:
        """Of the regions there are, in order."""
        return sorted(self._parts)

    def path(self, key: Key) -> Path:
        """The file of a region that there is."""
        return self.folder / self._parts[key].file

    def get(self, key: Key) -> Tensors | None:
        """The tensors of a region, None where there is none.

        Raises:
            MapError: when its file is damaged, or was replaced since.
        """
        part = self._parts.get(key)
        return None if part is None else unpacked(key, _checked(self.folder, part), self.folder / part.file)

    def put(self, key: Key, tensors: Tensors) -> None:
        """A stored map is changed as a whole alone: see ``save_map``.

        Raises:
            MapError: always.
        """
        raise MapError(
            f"{self.folder}: region {key} of {len(tensors)} tensors: a stored map is read-only, use save_map"
        )

    def remove(self, key: Key) -> None:
        """Here alone, not in the stored map."""
        self._parts.pop(key, None)


def _write(folder: Path, name: str, data: bytes) -> Part:
    digest = hashlib.sha256(data).hexdigest()
    file = f"{name}-{digest[:16]}.safetensors"
    write_bytes(folder / file, data)
    return Part(name, file, digest, len(data))


def _take_regions(folder: Path, regions: Any) -> list[Part]:
    parts = []
    if regions is None:
        return parts
    for key in regions.keys():  # noqa: SIM118 (a store, no dict)
        x, y, z = key
        digest, size = _file_digest(regions.path(key))
        file = f"region-{x}_{y}_{z}-{digest[:16]}.safetensors"
        link_or_copy(regions.path(key), folder / file)
        parts.append(Part(f"region {x} {y} {z}", file, digest, size))
    return parts


def _file_digest(path: Path) -> tuple[str, int]:
    """SHA-256 and bytes of a file, in little memory."""
    digest, size = hashlib.sha256(), 0
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise MapError(f"{path}: the map's tensors cannot be read ({error.strerror})") from None
    return digest.hexdigest(), size


def _current(folder: Path, read: Callable[[Record], T]) -> T:
    """What ``read`` makes of the record; anew where a process that saves has replaced the files meanwhile."""
    record = read_record(folder)
    for _ in range(_TRIES):
        try:
            return read(record)
        except MapError:
            now = read_record(folder)
            if now == record:
                raise
            record = now
    return read(record)


def _planes(folder: Path, record: Record, config: MapConfig | None) -> PlaneMap:
    if "planes" not in record.parts:
        raise MapError(f"{folder / RECORD}: the record of the map names no planes; the file is damaged")
    part = record.parts["planes"]
    return map_tensors.planes(_checked(folder, part), folder / part.file, record.version, config)


def _hand_over(folder: Path, record: Record, store: RegionStore | StoredRegions) -> None:
    if not isinstance(store, RegionStore):
        return
    regions = _regions(record)
    for region in regions.values():
        _compare(folder / region.file, *_file_digest(folder / region.file), region)
    store.clear()
    for key, region in regions.items():
        try:
            store.adopt(key, folder / region.file)
        except OSError as error:
            raise MapError(f"{folder / region.file}: the region cannot be taken over ({error.strerror})") from None


def _regions(record: Record) -> dict[Key, Part]:
    found = {}
    for name, part in record.parts.items():
        if name.startswith("region "):
            x, y, z = name.split()[1:]
            found[int(x), int(y), int(z)] = part
    return found


def _checked(folder: Path, part: Part) -> bytes:
    """The bytes of a part's file, as they were written."""
    path = folder / part.file
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise MapError(f"{path}: the map's tensors cannot be read ({getattr(error, 'strerror', error)})") from None
    _compare(path, hashlib.sha256(data).hexdigest(), len(data), part)
    return data


def _compare(path: Path, found: str, size: int, part: Part) -> None:
    if found != part.sha256:
        raise MapError(f"{path}: damaged, {size} bytes with SHA-256 {found[:12]}..., stored was {part.sha256[:12]}...")
