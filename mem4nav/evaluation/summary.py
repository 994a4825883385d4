# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The numbers of a run: means over episodes, how sure they are, and how many episodes failed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mem4nav.errors import EvaluationError
from mem4nav.evaluation.predictions import Prediction
from mem4nav.evaluation.uncertainty import mean_interval, roc_auc
from mem4nav.navigation_metrics import FAILED, Hops, RouteScore, score_route

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
        _log.warning("episode %s %s", prediction.id, prediction.error)
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


def score_rows(predictions: Sequence[Prediction], scores: Sequence[RouteScore]) -> list[dict[str, Any]]:
    """Each episode's id and score, for comparing runs episode by episode."""
    return [{"id": one.id, **asdict(score)} for one, score in zip(predictions, scores, strict=True)]


def _percent(values: Any) -> float:
    return 100.0 * _mean(values)


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
