# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Where a vehicle's memory lives: in a folder, or in RAM until it is saved."""

from __future__ import annotations

import time
from pathlib import Path

from mem4nav.errors import MemoryStoreError
from mem4nav.memory import MemoryConfig, load_memory, open_memory
from mem4nav.observing.embedding import Embedder


class KeptMemory:
    """A memory that is saved and loaded while it is written.

    One that lives in a folder is on the disk with every write; one in RAM is as of the last ``save``.

    Args:
        embedder: of its embeddings and questions.
        folder: where it lives; empty: in RAM.

    Attributes:
        memory: the one in use.

    Raises:
        MemoryStoreError: the folder is in use or cannot be written, or what it holds is damaged or of other embeddings.
    """

    def __init__(self, embedder: Embedder, folder: str = "") -> None:
        self._embedder = embedder
        try:
            self.memory = open_memory(config=self._config, folder=folder or None, encoder=embedder)
        except OSError as error:
            raise MemoryStoreError(f"{folder}: cannot be used as a memory ({error})") from None
        self._saved, self._saved_s = self._state, time.monotonic()

    @property
    def folder(self) -> str:
        """Where it lives; empty: in RAM."""
        return str(self.memory.store.folder or "")

    def save(self, folder: str) -> str:
        """Store all of it in a folder, in place of the memory there, as a whole or not at all; says so.

        Raises:
            MemoryStoreError: no folder is named, or it is in use or cannot be written.
        """
        if not folder:
            raise MemoryStoreError("there is no folder to store the memory in")
        try:
            self.memory.save(folder)
        except OSError as error:
            raise MemoryStoreError(f"{folder}: cannot be used as a memory ({error})") from None
        self._saved, self._saved_s = self._state, time.monotonic()
        return f"{self._counted()} stored in {folder}"

    def load(self, folder: str) -> str:
        """Go on in the memory that is stored in a folder, and live there; says so.

        Raises:
            MemoryStoreError: no folder is named, there is no memory or one of other embeddings in it, or it is in use
                or damaged; then nothing has changed.
        """
        if not folder:
            raise MemoryStoreError("there is no folder to load a memory from")
        if self.folder and Path(self.folder).resolve() == Path(folder).resolve():
            return f"{self._counted()} in use from {folder} already: every write is stored there"
        loaded = load_memory(folder, self._embedder)
        if loaded.config.dimension != self._embedder.dimension:
            loaded.store.close()
            has, want = loaded.config.dimension, self._embedder.dimension
            raise MemoryStoreError(f"{folder}: embeddings of {has} numbers, not {want}: of another encoder?")
        self.memory.close()
        self.memory = loaded
        self._saved, self._saved_s = self._state, time.monotonic()
        return f"{self._counted()} loaded from {folder}"

    def save_if_due(self, folder: str, period_s: float) -> bool:
        """``save`` where there is something new and the last one is longer ago than so many seconds; whether it did.

        Raises:
            MemoryStoreError: as ``save``.
        """
        if self._saved == self._state or time.monotonic() - self._saved_s < period_s:
            return False
        self._saved_s = time.monotonic()
        self.save(folder)
        return True

    def close(self) -> None:
        """Let go of the folder; what lives in RAM alone is lost."""
        self.memory.close()

    @property
    def _config(self) -> MemoryConfig:
        return MemoryConfig(dimension=self._embedder.dimension)

    @property
    def _state(self) -> tuple[int, int]:
        return self.memory.step, len(self.memory.graph.visits)

    def _counted(self) -> str:
        return f"{len(self.memory)} observations, {len(self.memory.graph)} places"
