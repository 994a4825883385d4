# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""SparseFusion: 3-D boxes from LiDAR and cameras, in plain PyTorch, on any sensor rig (Xie et al., ICCV 2023)."""
