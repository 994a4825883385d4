# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""From lessons to a model: policies on all of them, and what is chosen on lessons that the policies did not see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mem4nav.memory import MemoryMode, open_memory
from mem4nav.modular.agent import ModularAgent
from mem4nav.modular.confidence import Confidence, fit_confidence
from mem4nav.modular.lessons import Lesson, Rows, merged, rows_of
from mem4nav.modular.mentions import Rarity
from mem4nav.modular.model import ModularModel, Settings
from mem4nav.modular.policy import Policy
from mem4nav.modular.recollection import MEMORY
from mem4nav.modular.training import FitConfig, fit_halts, fit_stops, fit_turns
from mem4nav.modular.words import words_of

_THRESHOLDS = np.arange(0.02, 0.8, 0.02)
_NEVER = 99

Practise = Callable[[ModularAgent, Lesson], bool]
"""Lets an agent walk the route of a lesson by itself; whether it ended right."""


def learn(
    lessons: Sequence[Lesson], settings: Settings, practise: Practise | None = None, config: FitConfig | None = None
) -> ModularModel:
    """Fit everything.

    Each half of the lessons is kept from a pair of policies, on which the threshold for stopping and the confidence
    are then chosen; the policies that are kept learn from all.

    Args:
        lessons: demonstrations, and what lies behind their goals.
        settings: with the mode of memory and the seed; ``halt_at`` is chosen here.
        practise: without it the confidence goes by the policies alone.
        config: how the policies are fitted.
    """
    config = config or FitConfig()
    texts = [words_of(lesson.demonstration.instruction) for lesson in lessons]
    rarity = Rarity.of([word.stem for word in words] for words in texts)
    memory = open_memory(MemoryMode(settings.memory), MEMORY)
    rows = rows_of(lessons, memory, rarity, settings.seed, settings.length_prior)
    signs, right, stopped = [], [], []
    for half in range(2):
        others, held = _counted(lessons[1 - half :: 2], rows[1 - half :: 2]), range(half, len(lessons), 2)
        halts = fit_halts(others, config, settings.seed)
        stopped += [_halt_hops(halts, rows[number]) for number in held]
        if practise is not None:
            agent = ModularAgent(_fitted(others, halts, rarity, settings, config), memory)
            for number in held:
                agent.forget()
                right.append(practise(agent, lessons[number]))
                signs.append(agent.signs)
    whole = _counted(lessons, rows)
    settings = replace(settings, halt_at=_best_threshold(stopped))
    model = _fitted(whole, fit_halts(whole, config, settings.seed), rarity, settings, config)
    return replace(model, confidence=fit_confidence(np.array(signs), np.array(right))) if signs else model


def _counted(lessons: Sequence[Lesson], rows: Sequence[Rows]) -> Rows:
    return merged(part for lesson, part in zip(lessons, rows, strict=True) for _ in range(lesson.times))


def _fitted(rows: Rows, halts: Policy, rarity: Rarity, settings: Settings, config: FitConfig) -> ModularModel:
    turns, stops = (fit(rows, config, settings.seed) for fit in (fit_turns, fit_stops))
    return ModularModel(turns, stops, halts, Confidence.untrained(), rarity, settings)


def _halt_hops(halts: Policy, rows: Rows) -> list[int]:
    """For each threshold, how many hops from the goal one would stop; far where one never would."""
    if not rows.halts:
        return [_NEVER] * len(_THRESHOLDS)
    here = np.array([halts.here(places) for places, _ in rows.halts])
    hops = [hops for _, hops in rows.halts]
    over = here[None] >= _THRESHOLDS[:, None]
    return [
        hops[int(first)] if any_over else _NEVER for first, any_over in zip(over.argmax(1), over.any(1), strict=True)
    ]


def _best_threshold(stopped: Sequence[Sequence[int]]) -> float:
    near = (np.abs(np.array(stopped)) <= 1).mean(axis=0)
    return float(_THRESHOLDS[int(near.argmax())])
