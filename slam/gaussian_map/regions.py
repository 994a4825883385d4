# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Where the Gaussians wait that a drive has left behind: one file a region, out of memory.

A region is a cube of the world, its key three whole numbers. Its file is a safetensors file whose header holds a
SHA-256 of the key and of all names, types, shapes and values: what comes back is what was put, or an error.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from slam.errors import MapError
from slam.files import write_bytes

Key = tuple[int, int, int]

_NAME = re.compile(r"region-(-?\d+)_(-?\d+)_(-?\d+)\.safetensors")
_PART = ".region-*.part"


class RegionStore:
    """Regions in ``folder``, which is made where missing; what an earlier process put there is there still.

    A process that dies while it puts a region leaves the one that was there before. No region stays in memory.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        for cut_off in self.folder.glob(_PART):
            cut_off.unlink(missing_ok=True)

    def keys(self) -> list[Key]:
        """Of the regions there are, in order."""
        found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted((int(name[1]), int(name[2]), int(name[3])) for name in found if name)

    def path(self, key: Key) -> Path:
        """The file of a region, there or not. It is never changed in place: a hard link to it stays as it is."""
        x, y, z = key
        return self.folder / f"region-{int(x)}_{int(y)}_{int(z)}.safetensors"

    def put(self, key: Key, tensors: dict[str, NDArray]) -> None:
        """Store a region, in place of the one there."""
        tensors = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
        write_bytes(self.path(key), save_tensors(tensors, {"sha256": _digest(key, tensors)}))

    def get(self, key: Key) -> dict[str, NDArray] | None:
        """The tensors of a region, None where there is none.

        Raises:
            MapError: when the file is damaged.
        """
        try:
            data = self.path(key).read_bytes()
        except FileNotFoundError:
            return None
        return unpacked(key, data, self.path(key))

    def remove(self, key: Key) -> None:
        """Forget a region; one that is not there is forgotten already."""
        self.path(key).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget all regions."""
        for key in self.keys():
            self.remove(key)

    def adopt(self, key: Key, path: Path) -> None:
        """Take over the file of another store's region, in place of the one here."""
        link_or_copy(path, self.path(key))


def unpacked(key: Key, data: bytes, path: Path) -> dict[str, NDArray]:
    """The tensors in the bytes of a region's file.

    Raises:
        MapError: where these are not what was put under ``key``; names ``path``.
    """
    try:
        tensors = load_tensors(data)
        length = int.from_bytes(data[:8], "little")
        stored = json.loads(data[8 : 8 + length])["__metadata__"]["sha256"]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise MapError(f"{path}: the region is damaged, {len(data)} bytes ({error})") from None
    if _digest(key, tensors) != stored:
        raise MapError(f"{path}: the region is damaged: its checksum does not fit its {len(data)} bytes")
    return tensors


def link_or_copy(source: Path, target: Path) -> None:
    """Let ``target`` be the file ``source``: a hard link where the disk allows one, else a copy, flushed and renamed.

    Neither file may be changed in place afterwards.
    """
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    aside.unlink(missing_ok=True)
    try:
        try:
            os.link(source, aside)
        except FileNotFoundError:
            raise
        except OSError:  # another disk, or one without links
            _copy(source, aside)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)  # still there where both names were links to one file


def _copy(source: Path, target: Path) -> None:
    with open(source, "rb") as read, open(target, "wb") as written:
        shutil.copyfileobj(read, written, 1 << 20)
        written.flush()
        os.fsync(written.fileno())


def _digest(key: Key, tensors: dict[str, NDArray]) -> str:
    digest = hashlib.sha256()
    digest.update(json.dumps([int(k) for k in key]).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, tensor.dtype.str, tensor.shape]).encode())
        digest.update(np.asarray(tensor, order="C").tobytes())
    return digest.hexdigest()
