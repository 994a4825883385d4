# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""zstd from the standard library (Python 3.14) or from its backport, which rosbags brings along."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def _module() -> Any:
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
