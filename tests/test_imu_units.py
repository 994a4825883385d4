# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The unit of an accelerometer."""

from __future__ import annotations

import numpy as np
import pytest

from slam.imu_units import STANDARD_GRAVITY, accelerometer_unit


@pytest.mark.parametrize("norm, scale", [(1.0, STANDARD_GRAVITY), (0.85, STANDARD_GRAVITY), (9.6, 1.0), (11.5, 1.0)])
def test_g_and_metres_are_told_apart(norm: float, scale: float) -> None:
    assert accelerometer_unit([norm, norm, 50 * norm, np.nan])[0] == scale


@pytest.mark.parametrize("norms", [[], [np.nan], [0.02], [4.0], [1000.0]])
def test_what_fits_neither_counts_as_metres_with_a_warning(norms: list[float]) -> None:
    scale, sentence = accelerometer_unit(norms)
    assert scale == 1.0 and "assumed" in sentence
