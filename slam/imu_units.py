# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""In which unit an accelerometer speaks: m/s^2 (REP-145), or g as Livox and some others do."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

STANDARD_GRAVITY = 9.80665
TOLERANCE = 0.2


def accelerometer_unit(norms: ArrayLike) -> tuple[float, str]:
    """Factor that turns readings into m/s^2, and a sentence that says what was recognised.

    Args:
        norms: (N,) lengths of the specific force as the driver gives it, over some seconds.
    """
    values = np.asarray(norms, float).ravel()
    values = values[np.isfinite(values)]
    if not values.size:
        return 1.0, "accelerometer: no finite sample, m/s^2 assumed"
    median = float(np.median(values))
    if abs(median - 1.0) <= TOLERANCE:
        return STANDARD_GRAVITY, f"accelerometer in g (median |a| = {median:.3f}): scaled by {STANDARD_GRAVITY}"
    if abs(median / STANDARD_GRAVITY - 1.0) <= TOLERANCE:
        return 1.0, f"accelerometer in m/s^2 (median |a| = {median:.3f})"
    return 1.0, (
        f"warning: accelerometer unit unclear, median |a| = {median:.3f} is neither near 1 (g) nor near 9.81 (m/s^2); "
        "m/s^2 assumed: is gravity removed by the driver, or the scale wrong?"
    )
