# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Shops: kinds, names and colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.55, 0.06, 0.05),
    "blue": (0.05, 0.13, 0.48),
    "green": (0.05, 0.33, 0.11),
    "yellow": (0.80, 0.60, 0.06),
    "orange": (0.80, 0.30, 0.04),
    "purple": (0.28, 0.08, 0.38),
    "white": (0.80, 0.79, 0.75),
    "black": (0.05, 0.05, 0.06),
    "turquoise": (0.05, 0.42, 0.42),
    "pink": (0.75, 0.28, 0.42),
}
_KINDS = (
    "cafe", "bakery", "pharmacy", "bookshop", "grocery", "bank", "barber", "florist", "bar", "pizzeria",
    "hotel", "laundry", "hardware store", "toy shop", "gallery", "shoe shop", "bike shop", "post office",
)  # fmt: skip
_FIRST = (
    "Blue Heron", "Old Oak", "Silver Fox", "Corner", "Golden Crown", "Little Owl", "Red Lantern", "North Star",
    "Copper Kettle", "White Rabbit", "Morning Glory", "Black Cat", "Sunny Side", "Two Brothers", "Green Leaf",
    "Paper Moon", "Royal", "Central", "Lucky", "Miller's", "Rosa's", "Baker's", "Harper's", "Quinn's", "Marlow's",
    "Ivy", "Falcon", "Tulip", "Anchor", "Lighthouse", "Swan", "Comet", "Pioneer", "Emerald", "Juniper", "Atlas",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shop:
    """One shop.

    Attributes:
        name: as on its sign, unique in the town.
        kind: what it sells.
        colour: word for the colour of its front and sign.
    """

    name: str
    kind: str
    colour: str

    @property
    def rgb(self) -> tuple[float, float, float]:
        """Linear RGB of the front."""
        return COLOURS[self.colour]


def make_shop(rng: np.random.Generator, taken: set[str]) -> Shop:
    """A shop whose name is not in ``taken``; the name is added."""
    for _ in range(200):
        first, kind = _FIRST[rng.integers(len(_FIRST))], _KINDS[rng.integers(len(_KINDS))]
        name = f"{first} {kind}".title().replace("'S", "'s")
        if name not in taken:
            break
    else:
        name = f"{name} {len(taken)}"
    taken.add(name)
    return Shop(name, kind, str(rng.choice(list(COLOURS))))
