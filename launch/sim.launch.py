# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The stack in the procedural town."""

from nodes.launching import launched


def generate_launch_description():
    return launched("sim")
