# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussians as a PLY file in the layout of Kerbl et al. 2023, which viewers and editors of splats open.

A vertex is x y z, nx ny nz (zero), f_dc_0..2 (the coefficients of degree 0 of red, green and blue), f_rest_* (those of
higher degrees, all of red first, then green, then blue), opacity (before the sigmoid), scale_0..2 (logarithms of
standard deviations in metres), rot_0..3 (unit quaternion, w first); all float32, little-endian.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slam.errors import MapError
from slam.files import write_bytes
from slam.splatting.gaussians import Gaussians

_TYPES = {
    **{"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2", "ushort": "<u2"},
    **{"uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4", "float": "<f4", "float32": "<f4"},
    **{"double": "<f8", "float64": "<f8"},
}
_POSITION, _NORMAL = ("x", "y", "z"), ("nx", "ny", "nz")
_BASE, _SCALES = ("f_dc_0", "f_dc_1", "f_dc_2"), ("scale_0", "scale_1", "scale_2")
_TURN = ("rot_1", "rot_2", "rot_3", "rot_0")
"""In the order of our quaternions, xyzw."""


def write_ply(path: str | Path, gaussians: Gaussians) -> Path:
    """Write Gaussians, aside first and then renamed."""
    rest = tuple(f"f_rest_{i}" for i in range(3 * (gaussians.harmonics.shape[1] - 1)))
    names = (*_POSITION, *_NORMAL, *_BASE, *rest, "opacity", *_SCALES, *sorted(_TURN))
    vertices = np.zeros(gaussians.size, [(name, "<f4") for name in names])
    quats = gaussians.quats / np.maximum(np.linalg.norm(gaussians.quats, axis=1, keepdims=True), 1e-12)
    by_channel = gaussians.harmonics[:, 1:].transpose(0, 2, 1).reshape(gaussians.size, len(rest))
    for group, columns in (
        (_POSITION, gaussians.means),
        (_BASE, gaussians.harmonics[:, 0]),
        (rest, by_channel),
        (("opacity",), gaussians.logits[:, None]),
        (_SCALES, gaussians.log_scales),
        (_TURN, quats),
    ):
        for i, name in enumerate(group):
            vertices[name] = columns[:, i]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {gaussians.size}"]
    header += [*(f"property float {name}" for name in names), "end_header"]
    return write_bytes(path, "".join(f"{line}\n" for line in header).encode() + vertices.tobytes())


def read_ply(path: str | Path) -> Gaussians:
    """Read Gaussians; properties may come in any order, and those that are not ours are passed over.

    Raises:
        MapError: for a file that cannot be read, is of another layout, is cut off, or holds values that are not finite.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MapError(f"{path}: cannot be read ({error.strerror})") from None
    head, mark, body = data.partition(b"end_header\n")
    if not data.startswith(b"ply") or not mark:
        raise MapError(f"{path}: no PLY file, {len(data)} bytes without its header")
    count, layout = _layout(head.decode("ascii", "replace").splitlines(), path)
    if len(body) < count * layout.itemsize:
        raise MapError(f"{path}: cut off: {count} vertices take {count * layout.itemsize} bytes, {len(body)} are there")
    gaussians = _gaussians(np.frombuffer(body[: count * layout.itemsize], layout), path)
    for name, array in zip(Gaussians._fields, gaussians, strict=True):
        if not np.isfinite(array).all():
            raise MapError(f"{path}: {int((~np.isfinite(array)).sum())} values of {name} are not finite")
    return gaussians


def _layout(header: list[str], path: Path) -> tuple[int, np.dtype]:
    """Number and type of the vertices, which must come first."""
    words = [line.split() for line in header[1:] if line.strip() and not line.startswith(("comment", "obj_info"))]
    if ["format", "binary_little_endian", "1.0"] not in words:
        raise MapError(f"{path}: not a binary little-endian PLY: {' '.join(words[0]) if words else 'an empty header'}")
    elements = [i for i, word in enumerate(words) if word[0] == "element"]
    try:
        if words[elements[0]][1] != "vertex":
            raise ValueError(f"its first element is {words[elements[0]][1]}")
        last = elements[1] if len(elements) > 1 else len(words)
        properties = [(name, _TYPES[kind]) for _, kind, name in words[elements[0] + 1 : last]]
        return max(0, int(words[elements[0]][2])), np.dtype(properties)
    except (IndexError, KeyError, ValueError) as error:
        raise MapError(f"{path}: the header is not that of vertices with plain properties ({error})") from None


def _gaussians(vertices: NDArray, path: Path) -> Gaussians:
    names = vertices.dtype.names or ()
    wanted = (*_POSITION, *_BASE, "opacity", *_SCALES, *_TURN)
    missing = [name for name in wanted if name not in names]
    rest = sum(name.startswith("f_rest_") for name in names)
    if missing or rest not in (0, 9, 24, 45):
        raise MapError(f"{path}: no Gaussians: lacks {', '.join(missing) or f'3 to 45 f_rest_*, it has {rest}'}")
    size, coefficients = len(vertices), 1 + rest // 3
    gaussians = Gaussians.zeros(size, coefficients)
    for group, columns in (
        (_POSITION, gaussians.means),
        (_TURN, gaussians.quats),
        (_SCALES, gaussians.log_scales),
        (("opacity",), gaussians.logits[:, None]),
        (_BASE, gaussians.harmonics[:, 0]),
    ):
        for i, name in enumerate(group):
            columns[:, i] = vertices[name]
    for channel in range(3):
        for k in range(1, coefficients):
            gaussians.harmonics[:, k, channel] = vertices[f"f_rest_{channel * (coefficients - 1) + k - 1}"]
    return gaussians
