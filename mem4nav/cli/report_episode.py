# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The section of a report about instructions that were followed: where, by which words, and with which memories."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from html import escape

from mem4nav.cli.demo_episode import Episode
from mem4nav.cli.eval_city import Errand
from mem4nav.cli.report_episode_maps import memory_map, way_map
from mem4nav.cli.report_health import table
from mem4nav.cli.report_pictures import image
from sim_envs.city.navigation import Leg, LegKind

MOST_RECALLED = 3
MAP_CAPTION = "Seen from above, north up. Squares are where each leg was to end, dots where it did."
MEMORY_CAPTION = (
    "What the agent knew at the end, from its own observations alone: the places it has been at, the ways between "
    "them, and the landmarks it wrote down, at the positions it took them to be at."
)
STEPS_CAPTION = (
    "Steps that follow the same words with the same memories are one row; the words of the moment are marked. An "
    "errand names a goal and no way: all of it counts at every step. What was recalled are the labels that memory "
    "returned, best first."
)


def episode_section(episode: Episode) -> str:
    """The section as HTML."""
    legs = "".join(_leg(number, *pair) for number, pair in enumerate(_pairs(episode), start=1))
    views = "".join(f'<div>{image(view.pixels, view.said)}<span class="muted">{escape(view.said)}</span></div>'
                    for view in episode.views)  # fmt: skip
    return (
        f'<h2 class="chapter">Instructions followed</h2><p>{escape(episode.verdict)}. One task in another town '
        f"({escape(episode.task.id)}), walked by the modular agent with the whole memory. One task says how it works, "
        "not how well: that is what <code>mem4nav eval city</code> is for.</p>"
        f'<div class="grid"><figure><h2>Ways</h2><figcaption>{MAP_CAPTION}</figcaption>{way_map(episode)}</figure>'
        f"<figure><h2>Memory</h2><figcaption>{MEMORY_CAPTION}</figcaption>{memory_map(episode)}</figure>"
        f'<section class="wide"><h2>Steps</h2><p class="muted">{STEPS_CAPTION}</p>{legs}</section>'
        f'<figure class="wide"><h2>Views ahead</h2><div class="views">{views}</div></figure></div>'
    )


def _pairs(episode: Episode) -> Iterator[tuple[Leg, Errand]]:
    return zip(episode.task.legs, episode.errands, strict=True)


def _leg(number: int, leg: Leg, errand: Errand) -> str:
    title = f"<h3>{number}. “{escape(leg.episode.instruction)}”</h3>"
    if errand.leg is LegKind.GUIDED:
        return f'{title}<p class="muted">{len(errand.prediction.actions)} actions, led: the agent watches.</p>'
    head = ("steps", "instruction", "recalled", "action")
    steps = table(head, list(_rows(leg.episode.instruction, errand)), numbers=0)
    return f"{title}<p>{_ending(leg, errand)}</p>{steps}"


def _ending(leg: Leg, errand: Errand) -> str:
    prediction, actions = errand.prediction, len(errand.prediction.actions)
    if prediction.error:
        return f"Broke off after {actions} actions: {escape(prediction.error)}"
    if errand.outcome.success:
        return f"Stopped at the goal or one hop from it after {actions} actions; SPL {errand.outcome.spl:.2f}."
    if prediction.lost:
        return f"Said that it was lost, after {actions} actions."
    stopped = prediction.actions[-1:] == ["stop"]
    return f"{'Stopped elsewhere' if stopped else 'Not there when the limit was reached'}, after {actions} actions."


def _rows(instruction: str, errand: Errand) -> Iterator[tuple[str, str, str, str]]:
    """One row for each run of steps with the same clause and memories."""
    prediction, step = errand.prediction, 0
    told = zip(prediction.clauses, prediction.recalled, prediction.actions, strict=True)
    for (clause, recalled), run in itertools.groupby(told, key=lambda one: (one[0], one[1][:MOST_RECALLED])):
        actions = [action for _, _, action in run]
        numbers = f"{step + 1}" if len(actions) == 1 else f"{step + 1} to {step + len(actions)}"
        step += len(actions)
        yield numbers, _marked(instruction, clause), _labels(recalled), _in_words(actions)


def _marked(instruction: str, clause: str) -> str:
    clause = clause.strip(" ,.;:")
    before, found, after = instruction.partition(clause) if clause else (instruction, "", "")
    return f"{escape(before)}<mark>{escape(found)}</mark>{escape(after)}" if found else escape(instruction)


def _labels(recalled: Sequence[str]) -> str:
    return "<br>".join(escape(label) for label in recalled) or "nothing"


def _in_words(actions: Sequence[str]) -> str:
    """ "forward ×3, left": runs of the same action counted."""
    runs = ((action, len(list(run))) for action, run in itertools.groupby(actions))
    return ", ".join(action.replace("_", " ") + (f" ×{count}" if count > 1 else "") for action, count in runs)
