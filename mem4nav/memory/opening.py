# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Where a memory comes from: a new one, or one that was stored."""

from __future__ import annotations

from pathlib import Path

from mem4nav.errors import MemoryStoreError
from mem4nav.memory.memory import Memory, NoMemory
from mem4nav.memory.saving import put_settings, read_into
from mem4nav.memory.store import DATABASE, Store
from mem4nav.memory.text import TextEncoder
from mem4nav.memory.types import MemoryConfig, MemoryMode
from slam.config import load


def open_memory(
    mode: MemoryMode = MemoryMode.FULL,
    config: MemoryConfig | None = None,
    folder: str | Path | None = None,
    encoder: TextEncoder | None = None,
) -> Memory:
    """A memory, in RAM alone or kept in a folder.

    Args:
        mode: which of its parts are there.
        config: sizes and thresholds; None: those of the memory in the folder, or the defaults.
        folder: where every change is stored before the call that makes it returns; what is there already is loaded.
            None: in RAM alone.
        encoder: of queries in words; see ``Memory.recall``.

    Raises:
        MemoryStoreError: where the folder is in use by another process, or what it holds is damaged, of a newer version
            or of embeddings of another length.
    """
    kind = NoMemory if mode is MemoryMode.NONE else Memory
    if folder is None or mode is MemoryMode.NONE:
        return kind(mode, config or MemoryConfig(), encoder)
    store = Store(Path(folder))
    try:
        return _resumed(store, mode, config, encoder)
    except BaseException:
        store.close()
        raise


def load_memory(folder: str | Path, encoder: TextEncoder | None = None) -> Memory:
    """The memory stored in a folder, with the parts and the configuration it was stored with; goes on being kept there.

    Raises:
        MemoryStoreError: as ``open_memory``, and where there is none.
    """
    if not (Path(folder) / DATABASE).is_file():
        raise MemoryStoreError(f"{folder}: no memory here ({DATABASE} is missing)")
    store = Store(Path(folder))
    try:
        settings = store.settings()
        mode = MemoryMode(settings[0]) if settings else MemoryMode.FULL
        return _resumed(store, mode, None, encoder)
    except BaseException:
        store.close()
        raise


def _resumed(store: Store, mode: MemoryMode, config: MemoryConfig | None, encoder: TextEncoder | None) -> Memory:
    settings = store.settings()
    stored = load(MemoryConfig, overrides=settings[1]) if settings else None
    config = config or stored or MemoryConfig()
    if stored and stored.dimension != config.dimension:
        raise MemoryStoreError(f"{store.folder}: embeddings of {stored.dimension} numbers, not {config.dimension}")
    memory = Memory(mode, config, encoder)
    read_into(store, memory.observations, memory.graph, memory.tokens)
    put_settings(store, mode, config)
    memory.resume(store, store.get("step") or 0)
    return memory
