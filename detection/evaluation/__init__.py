# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How good boxes are: nuScenes' and KITTI's metrics, constancy of identities, tables and figures."""
