# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Where an instruction speaks of a landmark that is seen: by its name, or by what it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from mem4nav.modular.labels import Described, read_label
from mem4nav.modular.words import Word, stems_of

_LEAST_SHARE = 0.45
"""Of a name's weight that a text must speak for it to count: "Chipotle" for "Chipotle Mexican Grill"."""

KINDS: Mapping[str, tuple[str, ...]] = {
    "bus_stop": ("bus stop", "bus station", "bu stop", "bus shelter"),
    "bus_station": ("bus station", "bus stop"),
    "bicycle_rental": ("bike rental", "bicycle rental", "citi bike", "citibike", "bike rack", "bike share",
                       "bike stand", "rental bike", "bike station", "bike", "bicycle"),
    "subway_entrance": ("subway", "subway entrance", "metro", "subway station"),
    "station": ("station", "subway", "train station", "subway station"),
    "bank": ("bank",),
    "atm": ("atm", "bank"),
    "place_of_worship": ("church", "synagogue", "temple", "cathedral", "chapel", "mosque"),
    "school": ("school", "academy", "high school"),
    "university": ("university", "college", "nyu", "school"),
    "college": ("college", "university", "school"),
    "parking": ("parking", "garage", "parking lot", "parking garage", "parking area", "lot"),
    "parking_entrance": ("parking", "garage"),
    "park": ("park", "green space", "green area", "garden", "square", "plaza"),
    "garden": ("garden", "park", "green space", "green area"),
    "playground": ("playground", "park"),
    "pitch": ("court", "field", "basketball court", "pitch", "playground", "sport"),
    "grass": ("green space", "grass", "green area", "park"),
    "hotel": ("hotel", "inn"),
    "hostel": ("hostel", "hotel"),
    "theatre": ("theatre", "theater"),
    "cinema": ("cinema", "movie theater", "theater", "theatre"),
    "pharmacy": ("pharmacy", "drug store", "drugstore"),
    "hospital": ("hospital", "health center", "medical center"),
    "fast_food": ("fast food", "restaurant"),
    "restaurant": ("restaurant", "diner", "eatery", "pizzeria", "pizza restaurant"),
    "cafe": ("cafe", "coffee shop", "coffee"),
    "bar": ("bar", "pub"),
    "pub": ("pub", "bar", "tavern"),
    "post_box": ("mailbox", "mail box", "post box"),
    "post_office": ("post office",),
    "fire_station": ("fire station", "firehouse", "fire house", "fire department"),
    "police": ("police", "police station", "nypd"),
    "library": ("library",),
    "museum": ("museum",),
    "memorial": ("memorial", "monument", "statue"),
    "monument": ("monument", "memorial", "statue"),
    "artwork": ("statue", "sculpture", "art"),
    "fountain": ("fountain",),
    "drinking_water": ("water fountain", "drinking fountain", "fountain"),
    "supermarket": ("supermarket", "grocery", "grocery store", "market"),
    "convenience": ("convenience store", "deli", "corner store", "market", "bodega"),
    "deli": ("deli", "delicatessen"),
    "bakery": ("bakery",),
    "clothes": ("clothing store", "clothe store", "clothing", "clothe"),
    "shoes": ("shoe store", "shoe shop", "shoe"),
    "hairdresser": ("hair salon", "salon", "barber", "barbershop"),
    "beauty": ("beauty salon", "salon", "nail salon", "spa"),
    "alcohol": ("liquor store", "wine store", "wine shop", "liquor", "wine"),
    "wine": ("wine store", "wine shop", "wine"),
    "books": ("bookstore", "bookshop", "book store", "book"),
    "dry_cleaning": ("cleaner", "dry cleaner", "laundry"),
    "laundry": ("laundromat", "laundry", "cleaner"),
    "mobile_phone": ("phone store", "mobile"),
    "department_store": ("department store",),
    "hardware": ("hardware store", "hardware shop", "hardware"),
    "florist": ("florist", "flower shop"),
    "fitness_centre": ("gym", "fitness"),
    "sports_centre": ("gym", "fitness", "sport center"),
    "nightclub": ("club", "nightclub"),
    "embassy": ("embassy", "consulate"),
    "courthouse": ("courthouse", "court"),
    "bench": ("bench",),
    "fuel": ("gas station",),
    "car_rental": ("car rental",),
    "fabric": ("fabric", "fabric store"),
    "toys": ("toy store", "toy shop", "toy"),
    "gift": ("gift shop",),
    "optician": ("eyewear", "glasse", "optician"),
    "attraction": ("attraction",),
    "ice_cream": ("ice cream",),
    "coffee_shop": ("coffee", "coffee shop", "cafe"),
    "pizza": ("pizza", "pizzeria", "pizza place"),
    "burger": ("burger",),
    "donut": ("donut", "doughnut"),
    "bagel": ("bagel",),
    "fire_hydrant": ("hydrant", "fire hydrant"),
    "bicycle": ("bike shop", "bicycle shop", "bike store", "bike", "bicycle"),
    "barber": ("barber", "barber shop", "barbershop"),
    "grocery": ("grocery", "grocery store", "grocer"),
    "gallery": ("gallery", "art gallery"),
}  # fmt: skip
"""What people call the values of OpenStreetMap's tags; a value that is not here is called by its own words."""

UNSEEN_AS_LANDMARK = frozenset({"traffic_signals", "crossing", "vending_machine", "waste_basket"})


@dataclass(frozen=True, slots=True)
class Mention:
    """Words [first, last) that speak of a landmark.

    Attributes:
        first, last: words of the instruction.
        share: part of the name's weight that is spoken, in (0, 1]; 1 for a kind.
        weight: how telling the words are: the sum of their inverse document frequencies.
        named: by name; else by kind.
    """

    first: int
    last: int
    share: float
    weight: float
    named: bool


class Rarity:
    """Inverse document frequency of words among instructions (Sparck Jones 1972): ln((1 + N) / (1 + n)).

    Args:
        counts: instructions that hold each stem.
        documents: instructions in all.
    """

    def __init__(self, counts: Mapping[str, int], documents: int) -> None:
        self.counts = dict(counts)
        self.documents = documents

    @classmethod
    def of(cls, texts: Iterable[Iterable[str]]) -> Rarity:
        """From texts, each given by its stems."""
        counts: dict[str, int] = {}
        documents = 0
        for stems in texts:
            documents += 1
            for stem in set(stems):
                counts[stem] = counts.get(stem, 0) + 1
        return cls(counts, documents)

    def __call__(self, stem: str) -> float:
        return math.log((1 + self.documents) / (1 + self.counts.get(stem, 0)))


class MentionFinder:
    """Finds what one instruction says of landmarks; each landmark is looked for once."""

    def __init__(self, words: tuple[Word, ...], rarity: Rarity) -> None:
        self._stems = [word.stem for word in words]
        self._at: dict[str, list[int]] = {}
        for index, stem in enumerate(self._stems):
            self._at.setdefault(stem, []).append(index)
        self._rarity = rarity
        self._found: dict[str, tuple[Mention, ...]] = {}

    def __call__(self, label: str) -> tuple[Mention, ...]:
        """All mentions of a landmark with this label, in the order of the text."""
        if label not in self._found:
            self._found[label] = self._find(read_label(label))
        return self._found[label]

    def _find(self, said: Described) -> tuple[Mention, ...]:
        if said.category in UNSEEN_AS_LANDMARK:
            return ()
        named = self._by_name(stems_of(said.name)) if said.name else []
        taken = {index for mention in named for index in range(mention.first, mention.last)}
        kinds = [m for m in self._by_kind(said.category, said.cuisine) if not taken & set(range(m.first, m.last))]
        return tuple(sorted(named + kinds, key=lambda mention: mention.first))

    def _by_name(self, name: tuple[str, ...]) -> list[Mention]:
        weights = {stem: self._rarity(stem) for stem in name}
        whole = sum(weights.values()) or 1.0
        places = sorted(index for stem in weights for index in self._at.get(stem, ()))
        mentions = []
        for run in _runs(places):
            spoken = {self._stems[index] for index in run}
            weight = sum(weights[stem] for stem in spoken)
            if weight >= _LEAST_SHARE * whole and weight > 1.0:
                mentions.append(Mention(run[0], run[-1] + 1, weight / whole, weight, True))
        return mentions

    def _by_kind(self, category: str, cuisine: str) -> list[Mention]:
        mentions: dict[int, Mention] = {}
        for phrase in kind_phrases(category, cuisine):
            for first in self._at.get(phrase[0], ()):
                if tuple(self._stems[first : first + len(phrase)]) == phrase:
                    last = first + len(phrase)
                    if first not in mentions or mentions[first].last < last:
                        mentions[first] = Mention(first, last, 1.0, self._rarity(phrase[-1]), False)
        return list(mentions.values())


def _runs(places: list[int]) -> list[list[int]]:
    """Places that stand side by side, a gap of one word allowed."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place - runs[-1][-1] <= 2:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


@lru_cache(maxsize=4096)
def kind_phrases(category: str, cuisine: str) -> tuple[tuple[str, ...], ...]:
    """What people call a category and a cuisine, as stems."""
    values = [category, *cuisine.replace(",", ";").split(";")]
    phrases: dict[tuple[str, ...], None] = {}
    for value in filter(None, (value.strip() for value in values)):
        for phrase in KINDS.get(value, (value.replace("_", " "),)):
            phrases[stems_of(phrase)] = None
    return tuple(phrase for phrase in phrases if phrase)


@lru_cache(maxsize=4096)
def kind_stems(phrase: tuple[str, ...]) -> tuple[str, ...]:
    """The words of every category that a phrase is a name of: memory keeps a thing of no name under all of them."""
    kinds = [kind_phrases(category, "") for category in KINDS]
    return tuple(sorted({stem for phrases in kinds if phrase in phrases for known in phrases for stem in known}))
