# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Writes nodes and ways as OpenStreetMap protocol buffers, with Google's library."""

from __future__ import annotations

import zlib

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from sim_envs.touchdown.osm_extract_element import Element

# For each message its fields: number, name, type ("*": repeated, "!": repeated and packed).
MESSAGES = {
    "BlobHeader": [(1, "type", "string"), (3, "datasize", "int32")],
    "Blob": [(1, "raw", "bytes"), (2, "raw_size", "int32"), (3, "zlib_data", "bytes"), (4, "lzma_data", "bytes")],
    "HeaderBlock": [(4, "required_features", "string*")],
    "StringTable": [(1, "s", "bytes*")],
    "Node": [
        (1, "id", "sint64"),
        (2, "keys", "uint32!"),
        (3, "vals", "uint32!"),
        (8, "lat", "sint64"),
        (9, "lon", "sint64"),
    ],
    "DenseNodes": [(1, "id", "sint64!"), (8, "lat", "sint64!"), (9, "lon", "sint64!"), (10, "keys_vals", "int32!")],
    "Way": [(1, "id", "int64"), (2, "keys", "uint32!"), (3, "vals", "uint32!"), (8, "refs", "sint64!")],
    "PrimitiveGroup": [(1, "nodes", "Node*"), (2, "dense", "DenseNodes"), (3, "ways", "Way*")],
    "PrimitiveBlock": [
        (1, "stringtable", "StringTable"),
        (2, "primitivegroup", "PrimitiveGroup*"),
        (17, "granularity", "int32"),
        (19, "lat_offset", "int64"),
        (20, "lon_offset", "int64"),
    ],
}  # fmt: skip


def _classes() -> dict:
    file = descriptor_pb2.FileDescriptorProto(name="osm_drawing.proto", package="osm", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field_name, kind in fields:
            plain = kind.rstrip("*!")
            label = kinds.LABEL_OPTIONAL if plain == kind else kinds.LABEL_REPEATED
            field = message.field.add(name=field_name, number=number, label=label)
            if plain in MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".osm.{plain}"
            else:
                field.type = getattr(kinds, f"TYPE_{plain.upper()}")
            field.options.packed = kind.endswith("!")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"osm.{name}")) for name in MESSAGES}


OSM = _classes()


def blob(kind: str, data: bytes, packed: bool = True) -> bytes:
    """A blob with its header in front."""
    content = OSM["Blob"](zlib_data=zlib.compress(data), raw_size=len(data)) if packed else OSM["Blob"](raw=data)
    body = content.SerializeToString()
    header = OSM["BlobHeader"](type=kind, datasize=len(body)).SerializeToString()
    return len(header).to_bytes(4, "big") + header + body


def header(*features: str) -> bytes:
    return blob("OSMHeader", OSM["HeaderBlock"](required_features=features).SerializeToString())


def buffers(town: list[Element], dense: bool = True) -> bytes:
    """The whole file: a block of nodes, unpacked, and one of ways."""
    nodes, ways = _Block(granularity=10, lat_offset=-7), _Block()
    (nodes.dense if dense else nodes.single)([element for element in town if element.kind == "node"])
    for way in (element for element in town if element.kind == "way"):
        keys, values = ways.tags(way)
        refs = np.diff([int(ref) for ref in way.refs], prepend=0).tolist()
        ways.block.primitivegroup.add().ways.add(id=int(way.id), keys=keys, vals=values, refs=refs)
    return (
        header("OsmSchema-V0.6", "DenseNodes")
        + blob("OSMData", nodes.bytes(), packed=False)
        + blob("OSMData", ways.bytes())
    )


class _Block:
    def __init__(self, granularity: int = 100, lat_offset: int = 0) -> None:
        self.block = OSM["PrimitiveBlock"](granularity=granularity, lat_offset=lat_offset)
        self.words = [""]

    def word(self, text: str) -> int:
        if text not in self.words:
            self.words.append(text)
        return self.words.index(text)

    def tags(self, element) -> tuple[list[int], list[int]]:
        return [self.word(key) for key in element.tags], [self.word(value) for value in element.tags.values()]

    def place(self, node) -> tuple[int, int]:
        step = self.block.granularity
        return round((node.lat * 1e9 - self.block.lat_offset) / step), round(node.lng * 1e9 / step)

    def dense(self, nodes: list[Element]) -> None:
        lats, lngs = zip(*map(self.place, nodes), strict=True)
        keys_vals = []
        for node in nodes:
            for key, value in zip(*self.tags(node), strict=True):
                keys_vals += [key, value]
            keys_vals.append(0)
        group = self.block.primitivegroup.add()
        for field, values in (("id", [int(node.id) for node in nodes]), ("lat", lats), ("lon", lngs)):
            getattr(group.dense, field).extend(np.diff(values, prepend=0).tolist())
        group.dense.keys_vals.extend(keys_vals)

    def single(self, nodes: list[Element]) -> None:
        group = self.block.primitivegroup.add()
        for node in nodes:
            (keys, values), (lat, lng) = self.tags(node), self.place(node)
            group.nodes.add(id=int(node.id), keys=keys, vals=values, lat=lat, lon=lng)

    def bytes(self) -> bytes:
        self.block.stringtable.s.extend(word.encode() for word in self.words)
        return self.block.SerializeToString()
