# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The modular backbone: an instruction becomes sub-goals, small learned policies decide where each one is reached."""
