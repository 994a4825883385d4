# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Folders, and the helpers that the tests share with the benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out" / "bench"
PAGE = ROOT / "docs" / "benchmarks.md"

if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))


def shared_data_missing(name: str) -> str | None:
    """Why the recording ``name`` of the shared data cannot be measured; None where it can."""
    from shared_data import data_folder

    if (data_folder() / name).exists():
        return None
    return f"the recording {name} is not here (MEM4NAV_DATA names the folder that holds it)"
