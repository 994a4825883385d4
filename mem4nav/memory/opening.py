# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Where a memory comes from: a new one, or one that was stored."""

from __future__ import annotations

from mem4nav.memory.memory import Memory, NoMemory
from mem4nav.memory.text import TextEncoder
from mem4nav.memory.types import MemoryConfig, MemoryMode


def open_memory(
    mode: MemoryMode = MemoryMode.FULL, config: MemoryConfig | None = None, *, encoder: TextEncoder | None = None
) -> Memory:
    """An empty memory in RAM.

    Args:
        mode: which of its parts are there.
        config: sizes and thresholds.
        encoder: of queries in words; see ``Memory.recall``.
    """
    return (NoMemory if mode is MemoryMode.NONE else Memory)(mode, config or MemoryConfig(), encoder)
