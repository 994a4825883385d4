# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Configuration: frozen dataclasses that a YAML file fills, checked key by key."""
