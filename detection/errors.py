# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The one exception root of detection."""


class DetectionError(Exception):
    """Something that cannot be detected with: the text carries the numbers and the likely cause."""


class DetectionConfigError(DetectionError):
    """A configuration value that makes no network, or one that does not fit a checkpoint."""


class SampleError(DetectionError):
    """A sample whose arrays contradict each other, or one with neither points nor pictures."""


class DatasetError(DetectionError):
    """A dataset that is missing, damaged, or of another layout than was said."""


class CheckpointError(DetectionError):
    """A checkpoint that is missing, damaged, or of another network."""
