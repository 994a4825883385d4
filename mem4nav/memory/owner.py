# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One process a folder: the lock ends with the process that holds it, however it ends."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path

from mem4nav.errors import MemoryStoreError

_LOCK, _OWNER = "memory.lock", "memory.owner"


class FolderLock:
    """SQLite's own lock on an empty database, which works wherever SQLite does; who holds it stands in a file beside.

    Raises:
        MemoryStoreError: where another holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._owner = folder / _OWNER
        try:
            self._db = sqlite3.connect(folder / _LOCK, timeout=0.0, isolation_level=None, check_same_thread=False)
            self._db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._db.close()
            if "locked" not in str(error):
                raise MemoryStoreError(f"{folder}: cannot be locked ({error}); may it be written to?") from None
            raise MemoryStoreError(f"{folder}: this memory is in use by {self._holder()}") from None
        self._owner.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")

    def _holder(self) -> str:
        try:
            return self._owner.read_text(encoding="utf-8") or "another process"
        except OSError:
            return "another process"

    def release(self) -> None:
        """Let others have it."""
        self._owner.unlink(missing_ok=True)
        self._db.close()
