# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The numbers of a run: means over episodes, how sure they are, and how many episodes failed."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mem4nav.errors import EvaluationError
from mem4nav.evaluation.predictions import Prediction
from mem4nav.evaluation.uncertainty import mean_interval, roc_auc
from mem4nav.navigation_metrics import FAILED, Hops, RouteScore, score_route
from slam.files import write_text

_log = logging.getLogger(__name__)


def score_all(predictions: Sequence[Prediction], references: Sequence[Sequence[str]], hops: Hops) -> list[RouteScore]:
    """A score for each prediction; one that failed, or cannot be scored, fails, and its record says why.

    Args:
        predictions: of a run.
        references: the annotated route of each, in the same order.
        hops: distances on the street graph.
    """
    return [_score(one, reference, hops) for one, reference in zip(predictions, references, strict=True)]


def _score(prediction: Prediction, reference: Sequence[str], hops: Hops) -> RouteScore:
    if prediction.error:
        return FAILED
    try:
        return score_route(prediction.panos, reference, hops)
    except EvaluationError as error:
        prediction.error = f"cannot be scored: {error}"
        return FAILED


def summarise(predictions: Sequence[Prediction], scores: Sequence[RouteScore], seed: int = 0) -> dict[str, Any]:
    """Plain numbers for metrics.json: rates in percent, as the literature prints them; spd in hops.

    Failed episodes count as not completed; spd alone leaves them out, as nobody knows where they end.
    """
    walked = [index for index, one in enumerate(predictions) if not one.error]
    tc = np.array([score.tc for score in scores])
    answered = [index for index in walked if not predictions[index].lost]
    return {
        "episodes": len(predictions),
        "failed": len(predictions) - len(walked),
        "lost": len(walked) - len(answered),
        "tc": _percent(tc),
        "tc_ci95": [100.0 * bound for bound in mean_interval(tc, seed)],
        "spd": _mean([scores[index].spd for index in walked]),
        **{name: _percent([getattr(score, name) for score in scores]) for name in ("sed", "ndtw", "sdtw", "kpa")},
        "tc_where_not_lost": _percent(tc[answered]),
        "confidence_auc": roc_auc([predictions[index].confidence for index in walked], tc[walked]),
        "actions": _mean([len(predictions[index].actions) for index in walked]),
        "units": "tc, sed, ndtw, sdtw and kpa in percent, spd in hops",
    }


def report_failures(predictions: Sequence[Prediction]) -> None:
    """Say how many episodes failed, and why the first did.

    Raises:
        EvaluationError: where all did: then it is not the episodes that are wrong.
    """
    failed = [one for one in predictions if one.error]
    if not failed:
        return
    if len(failed) == len(predictions):
        raise EvaluationError(f"all {len(failed)} episodes failed; the first, {failed[0].id}: {failed[0].error}")
    text = "%d of %d episodes failed and count as not completed; the first, %s: %s"
    _log.warning(text, len(failed), len(predictions), failed[0].id, failed[0].error)


def write_scores(path: Path, predictions: Sequence[Prediction], scores: Sequence[RouteScore]) -> Path:
    """Each episode's id and score as one JSON object a line, for comparing runs episode by episode."""
    rows = [{"id": one.id, **_finite(asdict(score))} for one, score in zip(predictions, scores, strict=True)]
    return write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def _finite(score: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in score.items()}


def _percent(values: Any) -> float:
    return 100.0 * _mean(values)


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
