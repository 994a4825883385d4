# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between this process and Habitat's."""

from __future__ import annotations

from sim_envs.errors import SimError


class HabitatError(SimError):
    """Habitat is missing, refuses, or was given what it cannot use."""


class WorkerDiedError(HabitatError):
    """Habitat's process ended or fell silent; it can be started again."""
