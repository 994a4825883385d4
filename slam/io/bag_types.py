# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What every source of raw messages speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class RawMessage(NamedTuple):
    """One message as stored; ``record_ns`` is when the recorder took it."""

    topic: str
    record_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of a bag, its message type (``package/msg/Name``) and how many messages it holds."""

    name: str
    msgtype: str
    count: int

    @property
    def kind(self) -> str:
        """The type without its package."""
        return self.msgtype.rpartition("/")[2]
