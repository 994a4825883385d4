# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Binary glTF 2.0: textured triangles in one file."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT, _UNSIGNED = 5126, 5125
_VERTICES, _INDICES = 34962, 34963
_JSON, _BINARY = 0x4E4F534A, 0x004E4942


@dataclass(frozen=True, slots=True)
class Part:
    """Triangles that share a texture.

    Attributes:
        name: of its node, and of its material where it is the first with its texture.
        positions: (V, 3) float32 metres, y up.
        normals: (V, 3) float32 unit.
        uv: (V, 2) float32; (0, 0) is the upper left of the texture, which repeats.
        colours: (V, 4) float32 linear red, green, blue and alpha, by which the texture is multiplied.
        faces: (F, 3) uint32.
        texture: (H, W, 3) uint8 sRGB.
    """

    name: str
    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    uv: NDArray[np.float32]
    colours: NDArray[np.float32]
    faces: NDArray[np.uint32]
    texture: NDArray[np.uint8]


class _Document:
    """The JSON part and the bytes it points into."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, content: bytes, target: int | None = None) -> int:
        """Number of a buffer view with these bytes."""
        self.bytes += bytes(-len(self.bytes) % 4)
        view = {"buffer": 0, "byteOffset": len(self.bytes), "byteLength": len(content)}
        self.views.append(view | ({"target": target} if target else {}))
        self.bytes += content
        return len(self.views) - 1

    def accessor(self, values: NDArray[Any], target: int, kind: str) -> int:
        """Number of an accessor of these values (N, ...)."""
        whole = values.dtype.kind == "u"
        flat = np.ascontiguousarray(values, np.uint32 if whole else np.float32)
        entry: dict[str, Any] = {
            "bufferView": self.view(flat.tobytes(), target), "type": kind,
            "componentType": _UNSIGNED if whole else _FLOAT, "count": flat.size if kind == "SCALAR" else len(flat),
        }  # fmt: skip
        if kind == "VEC3":
            entry |= {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()}
        self.accessors.append(entry)
        return len(self.accessors) - 1


def write_glb(parts: Sequence[Part]) -> bytes:
    """The file's content: one node a part, so that a viewer can leave out those that are not in view.

    Parts that hold the same texture (the same array) share it in the file.
    """
    document = _Document()
    textures = {id(part.texture): part for part in parts}
    numbers = {key: number for number, key in enumerate(textures)}
    meshes = [
        {"name": part.name, "primitives": [_primitive(document, part, numbers[id(part.texture)])]} for part in parts
    ]
    images = [{"bufferView": document.view(_png(part.texture)), "mimeType": "image/png"} for part in textures.values()]
    materials = [
        {
            "name": part.name, "doubleSided": True,
            "pbrMetallicRoughness": {"baseColorTexture": {"index": n}, "metallicFactor": 0.0, "roughnessFactor": 1.0},
        }
        for n, part in enumerate(textures.values())
    ]  # fmt: skip
    count = range(len(textures))
    content = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": list(range(len(parts)))}],
        "nodes": [{"mesh": n, "name": part.name} for n, part in enumerate(parts)], "meshes": meshes,
        "materials": materials, "textures": [{"source": n, "sampler": 0} for n in count], "images": images,
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 10497, "wrapT": 10497}],
        "accessors": document.accessors, "bufferViews": document.views,
        "buffers": [{"byteLength": len(document.bytes)}],
    }  # fmt: skip
    return _pack(json.dumps(content).encode(), bytes(document.bytes))


def _primitive(document: _Document, part: Part, material: int) -> dict[str, Any]:
    attributes = {
        "POSITION": document.accessor(part.positions, _VERTICES, "VEC3"),
        "NORMAL": document.accessor(part.normals, _VERTICES, "VEC3"),
        "TEXCOORD_0": document.accessor(part.uv, _VERTICES, "VEC2"),
        "COLOR_0": document.accessor(part.colours, _VERTICES, "VEC4"),
    }
    indices = document.accessor(part.faces.astype(np.uint32), _INDICES, "SCALAR")
    return {"attributes": attributes, "indices": indices, "material": material}


def _png(texture: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(texture).save(out, "png")
    return out.getvalue()


def _pack(text: bytes, binary: bytes) -> bytes:
    text += b" " * (-len(text) % 4)
    binary += bytes(-len(binary) % 4)
    total = 12 + 8 + len(text) + 8 + len(binary)
    return b"".join(
        [
            struct.pack("<4sII", b"glTF", 2, total),
            struct.pack("<II", len(text), _JSON), text,
            struct.pack("<II", len(binary), _BINARY), binary,
        ]
    )  # fmt: skip
