# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What an agent did in an episode, and the file of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mem4nav.agent import Decision
from mem4nav.environment import Observation
from mem4nav.errors import EvaluationError
from slam.files import write_text


@dataclass(slots=True)
class Prediction:
    """The record of one episode; it grows while the agent walks.

    Attributes:
        id: of the episode.
        actions: what was done; the last is stop, unless the episode failed.
        panos: the place before the first action and after each.
        headings: compass degrees, likewise.
        clauses: for each action, the part of the instruction that it followed.
        recalled: for each action, the labels that memory returned.
        confidence: the agent's own estimate, when it stopped, that it did so at the goal.
        lost: it stopped because it did not know where the goal is.
        error: why the episode could not be walked or scored; "" where it could.
    """

    id: str
    actions: list[str] = field(default_factory=list)
    panos: list[str] = field(default_factory=list)
    headings: list[float] = field(default_factory=list)
    clauses: list[str] = field(default_factory=list)
    recalled: list[list[str]] = field(default_factory=list)
    confidence: float = 0.0
    lost: bool = False
    error: str = ""

    def see(self, observation: Observation) -> None:
        """Note where the agent is."""
        self.panos.append(observation.place)
        self.headings.append(observation.heading_deg)

    def do(self, decision: Decision) -> None:
        """Note what it does."""
        self.actions.append(decision.action.value)
        self.clauses.append(decision.clause)
        self.recalled.append(list(decision.recalled))
        self.confidence, self.lost = decision.confidence, decision.lost


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> Path:
    """One JSON object a line; ``error`` stands only in those that have one."""
    rows = [{key: value for key, value in asdict(one).items() if key != "error" or value} for one in predictions]
    return write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_predictions(path: Path) -> list[Prediction]:
    """The predictions of a file that ``write_predictions`` wrote.

    Raises:
        EvaluationError: for a file that cannot be read, or a line that is no prediction (with its number).
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"cannot read {path}: {error}") from None
    predictions = []
    for number, line in enumerate(lines, start=1):
        try:
            predictions.append(Prediction(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise EvaluationError(f"{path}, line {number} is no prediction: {error}") from None
    return predictions
