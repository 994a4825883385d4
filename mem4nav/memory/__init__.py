# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Spatial memory: semantic octree, topology graph, reversible tokens, long- and short-term."""

from mem4nav.memory.memory import Memory
from mem4nav.memory.opening import load_memory, open_memory
from mem4nav.memory.text import TextEncoder, sentence_encoder
from mem4nav.memory.types import Cells, Hit, MemoryConfig, MemoryMode, Recall

__all__ = [
    "Cells",
    "Hit",
    "Memory",
    "MemoryConfig",
    "MemoryMode",
    "Recall",
    "TextEncoder",
    "load_memory",
    "open_memory",
    "sentence_encoder",
]
