# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Running an agent over many episodes, and the numbers that come of it."""

from mem4nav.evaluation.predictions import Prediction, read_predictions, write_predictions
from mem4nav.evaluation.rollout import follow
from mem4nav.evaluation.summary import report_failures, score_all, summarise, write_scores
from mem4nav.evaluation.uncertainty import Difference, mean_interval, paired_difference, roc_auc
from mem4nav.evaluation.workers import Recipe, spread

__all__ = [
    "Difference",
    "Prediction",
    "Recipe",
    "follow",
    "mean_interval",
    "paired_difference",
    "read_predictions",
    "report_failures",
    "roc_auc",
    "score_all",
    "spread",
    "summarise",
    "write_predictions",
    "write_scores",
]
