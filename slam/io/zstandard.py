# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Decompression of what may be cut off, and zstd from the standard library (Python 3.14) or from its backport."""

from __future__ import annotations

import bz2
from pathlib import Path
from typing import IO, Any

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
SLICE = 1 << 16


def _module() -> Any:
    """The backport comes with rosbags."""
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd  # type: ignore[no-redef]
    return zstd


def zstd_decompress(data: bytes) -> bytes:
    """One or several zstd frames, unpacked."""
    return _module().decompress(data)


def zstd_open(path: Path) -> IO[bytes]:
    """A zstd file, opened for reading."""
    return _module().open(path, "rb")


def decompress_as_far_as_it_goes(data: bytes, compression: str) -> bytes:
    """Unpack zstd, lz4 or bz2 data up to where it is damaged or cut off; other data is given back."""
    decompressor = _decompressor(compression)
    if decompressor is None:
        return data
    parts = []
    try:
        for start in range(0, len(data), SLICE):
            parts.append(decompressor.decompress(data[start : start + SLICE]))
    except Exception:  # whatever a decompressor raises on damaged bytes, and at the end of its stream
        return b"".join(parts)
    return b"".join(parts)


def _decompressor(compression: str) -> Any:
    if compression == "zstd":
        return _module().ZstdDecompressor()
    if compression == "bz2":
        return bz2.BZ2Decompressor()
    if compression == "lz4":
        import lz4.frame

        return lz4.frame.LZ4FrameDecompressor()
    return None
