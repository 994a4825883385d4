# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Changes of a window's arrays beside Adam's, written once for arrays of the computer's memory and of the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from slam.splatting.gaussians import C0

LEAST_CONTRIBUTION = 0.5
"""Pixels; Gaussians that show less are painted less."""


def repaint(harmonics: Any, slope: Any, contribution: Any) -> None:
    """Move base colours along ``slope``, each by the mean over what it shows.

    Args:
        harmonics, slope: (N, K, 3) float32. contribution: (N,) float32, pixels.
    """
    colours, shown = harmonics[:, 0], np.maximum(contribution, np.float32(LEAST_CONTRIBUTION))
    colours += slope[:, 0] / (np.float32(C0 * C0) * shown)[:, None]


def bound(log_scales: Any, largest: Any) -> None:
    """Keep ``log_scales`` (N, 3) at most at ``largest`` (N,), both float32."""
    np.minimum(log_scales, largest[:, None], out=log_scales)
