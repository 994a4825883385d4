# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The one exception root of the package."""


class Mem4NavError(Exception):
    """Bad input or configuration: the text carries the numbers and the likely cause."""


class UsageError(Mem4NavError):
    """Options of a command that cannot be used, alone or together."""


class BackboneError(Mem4NavError):
    """A model that cannot be loaded, trained or asked."""


class EndpointError(BackboneError):
    """A language model's server that cannot be reached, refuses, or answers with what is no answer."""


class EvaluationError(Mem4NavError):
    """Predictions that cannot be scored, or workers that cannot be had."""


class MemoryInputError(Mem4NavError):
    """An embedding, pose or place that a memory cannot take."""


class MemoryStoreError(Mem4NavError):
    """A stored memory that is missing, damaged, too new, or held by another process."""
