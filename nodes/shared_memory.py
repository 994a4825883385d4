# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Frees the shared memory of nodes that were killed: 71 MB each, which else is held until the machine restarts."""

from __future__ import annotations

import fcntl
import time
from contextlib import suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
_SEGMENTS = "fastrtps_" + 16 * "[0-9a-f]"
_LOCK = "_el"
"""Beside each segment lies a file of this suffix, which the process that owns the segment keeps locked."""
_MADE_S = 1.0
"""Between making that file and locking it a process has this much time."""


def free_memory_of_the_dead(folder: Path = SHARED_MEMORY) -> int:
    """Remove the segments whose owner is no more; those of other users stay.

    Ports, small and without an owner, Fast DDS takes over by itself.

    Returns:
        Bytes freed.
    """
    freed = 0
    for lock in sorted(folder.glob(_SEGMENTS + _LOCK)):
        with suppress(OSError), lock.open("rb") as file:  # locked, gone by now, or somebody else's
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - lock.stat().st_ctime >= _MADE_S:
                segment = lock.with_name(lock.name.removesuffix(_LOCK))
                size = segment.stat().st_size if segment.exists() else 0
                segment.unlink(missing_ok=True)
                lock.unlink()
                freed += size
    return freed
