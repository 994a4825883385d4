# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What both formats of OpenStreetMap are made of."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Element:
    """A node or a way.

    Attributes:
        kind: "node" or "way".
        id: unique among its kind.
        lat: degrees; of nodes alone.
        lng: degrees; of nodes alone.
        refs: ids of a way's nodes.
        tags: keys and values.
    """

    kind: str
    id: str
    lat: float = 0.0
    lng: float = 0.0
    refs: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
