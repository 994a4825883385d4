# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The one exception root of the package."""


class SlamError(Exception):
    """Bad input or configuration: the text carries the numbers and the likely cause."""


class ConfigError(SlamError):
    """A configuration key or value that cannot be used."""


class RecordingError(SlamError):
    """A recording that cannot be read, or that lacks what was asked of it."""


class TrajectoryError(SlamError):
    """A trajectory that cannot be read, matched or aligned."""


class MapError(SlamError):
    """A stored map that is missing, damaged or too new."""
