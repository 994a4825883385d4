# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Instructions in words: many ways to say the same clauses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim_envs.city.navigation.clauses import Clause, Reference, Verb

_NOUNS = {
    "cafe": ("cafe", "coffee shop"),
    "bakery": ("bakery",),
    "pharmacy": ("pharmacy", "drugstore"),
    "books": ("bookshop", "bookstore"),
    "grocery": ("grocery", "grocery store"),
    "bank": ("bank",),
    "barber": ("barber", "barber shop"),
    "florist": ("florist", "flower shop"),
    "bar": ("bar",),
    "restaurant": ("pizzeria", "pizza restaurant"),
    "hotel": ("hotel",),
    "laundry": ("laundry",),
    "hardware": ("hardware store", "hardware shop"),
    "toys": ("toy shop", "toy store"),
    "gallery": ("gallery", "art gallery"),
    "shoes": ("shoe shop", "shoe store"),
    "bicycle": ("bike shop", "bicycle shop"),
    "post_office": ("post office",),
    "traffic_signals": ("traffic light",),
    "fire_hydrant": ("hydrant", "fire hydrant"),
    "bench": ("bench",),
    "bus_stop": ("bus stop",),
}
_ORDINALS = ("zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh")
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven")
_CROSSINGS = ("light", "light", "traffic light", "intersection", "crossing", "junction")
_TURNS = ("turn {0}", "take a {0}", "make a {0}", "go {0}", "hang a {0}", "make a {0} turn")

_TURN_AROUND = (
    "turn around", "start by turning around", "you are facing the wrong way, so turn around",
    "first turn round and walk the other way", "make a U-turn", "head the opposite way to the one you are facing",
)  # fmt: skip
_TURN_FIRST = (
    "at the next {crossing} {turn}", "{turn} at the next {crossing}", "walk to the first {crossing} and {turn}",
    "take the first {side}", "go straight to the {crossing} and {turn} there", "when you reach a {crossing}, {turn}",
    "keep going until the next {crossing}, where you {turn}", "{turn} at the {crossing}",
)  # fmt: skip
_TURN_LATER = (
    "at the {ordinal} {crossing} {turn}", "{turn} at the {ordinal} {crossing}",
    "go straight through {before} and {turn} at the next one", "walk on to the {ordinal} {crossing} and {turn}",
    "ignore {before}, then {turn} at the one after", "pass {before} and at the one after that {turn}",
    "the {ordinal} {crossing} is yours: {turn} there",
)  # fmt: skip
_AFTER = (
    "pass {landmark}{where}, then {turned}", "walk past {landmark}{where} and {turned}",
    "once you have passed {landmark}{where}, {turned}", "you will see {landmark}{where}; after it {turned}",
    "keep straight past {landmark}{where}, and then {turned}", "go by {landmark}{where}, and {turned}",
)  # fmt: skip
_TURNED_AFTER = (
    "{turn} at the {ordinal} {crossing}", "at the {ordinal} {crossing} {turn}",
    "{turn} at the {ordinal} {crossing} you come to",
)  # fmt: skip
_STOP = (
    "stop by {landmark}{where}", "stop at {landmark}{where}", "stop in front of {landmark}{where}",
    "walk until you reach {landmark}{where} and stop", "your goal is {landmark}{where}",
    "go on as far as {landmark}{where} and halt there", "{landmark}{where} is where you stop",
    "when you come to {landmark}{where}, stop", "wait next to {landmark}{where}",
)  # fmt: skip
_THROUGH = ("go straight through {before}, then ", "walk past {before} and ", "cross {before} and after that ")
_RETURN = (
    "go back to {landmark}", "return to {landmark}", "find your way back to {landmark}", "walk to {landmark} again",
    "take me to {landmark} once more", "head for {landmark} and stop there", "now go to {landmark}",
    "please bring this parcel to {landmark}", "you have seen {landmark}: go there and stop",
    "somebody is waiting by {landmark}; join them", "your next errand is at {landmark}",
    "do you remember {landmark}? Stop there",
)  # fmt: skip
_RETURN_TO_START = (
    "go back to where the very first walk began", "return to the place where you first set out",
    "find your way back to the spot where all this started", "walk back to where we began",
    "we are finished: return to the place where you started out at first",
)  # fmt: skip
_OPENINGS = ("", "", "", "", "thank you", "well done", "one more thing", "next", "that was it here")
_SEEN = (" that you passed", " you saw earlier", " we came by", " from before", " seen on the way")
_BESIDE = ("by", "next to", "beside", "close to", "near")
_COLOURED = ("the {colour} {noun}", "the {colour} {noun}", "the {noun} with the {colour} front")
_JOINTS = (". ", ". ", ". ", ", then ", "; then ", ", and after that ")


def say(clauses: Sequence[Clause], rng: np.random.Generator) -> str:
    """One of the many wordings of an instruction; the same generator gives the same one."""
    opening = _one(rng, _OPENINGS) if clauses[0].verb in (Verb.RETURN, Verb.RETURN_TO_START) else ""
    said = f"{_capital(opening)}. " if opening else ""
    for number, clause in enumerate(clauses):
        part = _clause(clause, rng)
        joint = _one(rng, _JOINTS) if number else ""
        said += joint + (_capital(part) if joint in ("", ". ") else part)
    return f"{said}."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _one(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _clause(clause: Clause, rng: np.random.Generator) -> str:
    if clause.verb is Verb.TURN_AROUND:
        return _one(rng, _TURN_AROUND)
    if clause.verb is Verb.RETURN_TO_START:
        return _one(rng, _RETURN_TO_START)
    if clause.verb is Verb.TURN:
        return _turn(clause, rng)
    assert clause.landmark is not None
    if clause.verb is Verb.RETURN:
        return _one(rng, _RETURN).format(landmark=_refer(clause.landmark, rng, seen=True))
    through = _one(rng, _THROUGH).format(before=_several(clause.crossings, rng)) if clause.crossings else ""
    return through + _one(rng, _STOP).format(landmark=_refer(clause.landmark, rng), where=_where(clause, rng))


def _turn(clause: Clause, rng: np.random.Generator) -> str:
    assert clause.turn is not None
    side = clause.turn.value
    words = {"side": side, "turn": _one(rng, _TURNS).format(side), "crossing": _one(rng, _CROSSINGS)}
    words["ordinal"] = _ORDINALS[clause.crossings]
    if clause.landmark is not None:
        words["ordinal"] = _one(rng, ("first", "next")) if clause.crossings == 1 else words["ordinal"]
        turned = _one(rng, _TURNED_AFTER).format(**words)
        landmark = _refer(clause.landmark, rng)
        return _one(rng, _AFTER).format(landmark=landmark, where=_where(clause, rng), turned=turned)
    if clause.crossings == 1:
        return _one(rng, _TURN_FIRST).format(**words)
    return _one(rng, _TURN_LATER).format(before=_several(clause.crossings - 1, rng), **words)


def _several(count: int, rng: np.random.Generator) -> str:
    """ "one light", "two crossings"."""
    return f"{_NUMBERS[count]} {_one(rng, _CROSSINGS)}{'s' if count > 1 else ''}"


def _where(clause: Clause, rng: np.random.Generator) -> str:
    if clause.side is None:
        return ""
    return _one(rng, (" on your {0}", " on the {0}", " to your {0}", " on the {0} hand side")).format(clause.side.value)


def _refer(reference: Reference, rng: np.random.Generator, seen: bool = False) -> str:
    """How something is called; ``seen`` says that it was met before, which is all that tells it from its like."""
    noun = _one(rng, _NOUNS[reference.category])
    if reference.beside is not None:
        return f"the {noun} {_one(rng, _BESIDE)} {_refer(reference.beside, rng)}"
    if reference.name:
        return _one(rng, ("", "the ")) + reference.name
    if reference.colour:
        return _one(rng, _COLOURED).format(colour=reference.colour, noun=noun)
    return f"the {noun}{_one(rng, _SEEN)}" if seen else f"the {noun}"
