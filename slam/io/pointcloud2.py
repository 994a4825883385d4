# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/PointCloud2 to arrays, by strided views on the message: one copy per field that is wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.errors import RecordingError
from slam.io.wire import Wire

DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
INTENSITY_NAMES = ("intensity", "intensities", "reflectivity", "reflectance", "i")


@dataclass(frozen=True, slots=True)
class Cloud:
    """A cloud as the driver sent it.

    Attributes:
        stamp_ns, frame: of its header.
        points: (N, 3) float32 (float64 where the driver sends that), NaN and zero returns kept.
        times: per-point time candidates by field name, (N,) in the driver's own type.
        intensity: (N,) float32 or None.
        fields: names of all fields.
    """

    stamp_ns: int
    frame: str
    points: NDArray[np.floating]
    times: dict[str, NDArray]
    intensity: NDArray[np.float32] | None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the layout: position in a point, numpy type without byte order, values per point."""

    offset: int
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How the bytes of a cloud are to be read."""

    height: int
    width: int
    fields: dict[str, Field]
    order: str
    point_step: int
    row_step: int

    def view(self, data: bytes, start: int, field: Field, columns: int = 1) -> NDArray:
        """(N,) or (N, columns) array of a field and of those that follow it without a gap."""
        dtype = np.dtype(self.order + field.kind)
        shape: tuple[int, ...] = (self.height, self.width, columns)
        strides = (self.row_step, self.point_step, dtype.itemsize)
        array = np.ndarray(shape, dtype, data, start + field.offset, strides)
        flat = array.reshape(self.height * self.width, columns)
        return flat if columns > 1 else flat[:, 0]


def parse_pointcloud2(data: bytes, ros1: bool, time_names: frozenset[str] | set[str]) -> Cloud:
    """Decode a cloud; of the per-point times those whose normalised name is in ``time_names``.

    Raises:
        RecordingError: no x, y, z; or a layout that does not fit into the bytes.
    """
    wire = Wire(data, ros1)
    stamp_ns, frame = wire.header()
    layout = _layout(wire)
    start, size = wire.span()
    layout = _fitting(layout, size)
    if not layout.width * layout.height:
        return Cloud(stamp_ns, frame, np.zeros((0, 3), np.float32), {}, None, tuple(layout.fields))
    times = {
        name: _native(layout.view(data, start, field))
        for name, field in layout.fields.items()
        if normalised(name) in time_names
    }
    points, intensity = _points(layout, data, start), _intensity(layout, data, start)
    return Cloud(stamp_ns, frame, points, times, intensity, tuple(layout.fields))


def normalised(name: str) -> str:
    """Field name without case and underscores: time_stamp and timeStamp are one."""
    return name.lower().replace("_", "")


def _layout(wire: Wire) -> Layout:
    height, width = wire.u32(), wire.u32()
    fields = {}
    for _ in range(wire.u32()):
        name, offset, datatype, count = wire.string(), wire.u32(), wire.u8(), wire.u32()
        if datatype not in DATATYPES:
            raise RecordingError(f"point field {name!r} has datatype {datatype}; known are 1 (INT8) to 8 (FLOAT64)")
        fields[name] = Field(offset, DATATYPES[datatype], count)
    order = ">" if wire.u8() else "<"
    return Layout(height, width, fields, order, wire.u32(), wire.u32())


def _fitting(layout: Layout, size: int) -> Layout:
    """The layout checked against the bytes there are, with a row step where the driver left it zero or wrong."""
    row = layout.width * layout.point_step
    row_step = layout.row_step if layout.row_step >= row and layout.height > 1 else row
    needed = (layout.height - 1) * row_step + row if layout.height else 0
    if needed > size:
        raise RecordingError(
            f"cloud of {layout.height} x {layout.width} points with {layout.point_step} bytes each "
            f"needs {needed} bytes, the message holds {size}"
        )
    for name, field in layout.fields.items():
        end = field.offset + np.dtype(field.kind).itemsize * max(field.count, 1)
        if layout.width and end > layout.point_step:
            raise RecordingError(f"point field {name!r} ends at byte {end} of a point of {layout.point_step} bytes")
    return Layout(layout.height, layout.width, layout.fields, layout.order, layout.point_step, row_step)


def _points(layout: Layout, data: bytes, start: int) -> NDArray[np.floating]:
    missing = [axis for axis in "xyz" if axis not in layout.fields]
    if missing:
        raise RecordingError(f"cloud without {', '.join(missing)}: its fields are {', '.join(layout.fields)}")
    x, y, z = (layout.fields[axis] for axis in "xyz")
    size = np.dtype(x.kind).itemsize
    if x.kind == y.kind == z.kind and (y.offset, z.offset) == (x.offset + size, x.offset + 2 * size):
        points = np.ascontiguousarray(layout.view(data, start, x, 3))
    else:
        points = np.stack([layout.view(data, start, field) for field in (x, y, z)], axis=1)
    return points.astype(np.float64 if points.dtype.itemsize == 8 else np.float32, copy=points.base is not None)


def _intensity(layout: Layout, data: bytes, start: int) -> NDArray[np.float32] | None:
    for name in INTENSITY_NAMES:
        if name in layout.fields:
            return layout.view(data, start, layout.fields[name]).astype(np.float32)
    return None


def _native(values: NDArray) -> NDArray:
    """A contiguous copy in the byte order of this machine."""
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))
