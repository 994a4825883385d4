# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Message packages that have no wheels: tf2_msgs, and of vision_msgs the messages of 3-D detections.

On a robot they come with the distribution. Beside the wheels of the extra `ros` they are built from the definitions
here, which are field for field those of the standard packages: ``python -m nodes.interfaces``.
"""
