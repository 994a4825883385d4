# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The one exception root of the simulators."""


class SimError(Exception):
    """A simulation that cannot be built or run: the text carries the numbers and the likely cause."""


class SimConfigError(SimError):
    """A configuration value that makes no world, no drive or no sensor."""


class RaycastError(SimError):
    """The ray caster is missing or was given rays it cannot cast."""


class BagWriteError(SimError):
    """A bag that cannot be written."""


class StreetGraphError(SimError):
    """A street graph that contradicts itself, or a place that it does not have."""


class EpisodeError(SimError):
    """A file of episodes that cannot be read, or a step outside of an episode."""


class OsmExtractError(SimError):
    """An OpenStreetMap extract that cannot be read or makes no street graph."""


class PanoramaFeatureError(SimError):
    """Features of panoramas that are missing or of another shape than was said."""
