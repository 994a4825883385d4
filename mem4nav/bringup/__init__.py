# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which nodes run together: read from one description, for ROS's launch and for ``mem4nav up``; and what runs them."""
