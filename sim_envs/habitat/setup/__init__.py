# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Sets up habitat-sim without root, compiler images or a GPU: ``python -m sim_envs.habitat.setup [DEST]``."""
