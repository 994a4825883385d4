# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 nodes, one a file, thin over the libraries; rclpy is imported here and in ``launch`` alone.

A node declares its parameters as a table (``nodes.parameters``), leaves in its callbacks what there is to do in an
``Inbox``, does it in ``work(stopped)``, which has a thread of its own, tells how it is through ``Diagnostics``, and is
run by ``nodes.running.run`` until a signal.
"""

import sys

from nodes.stopping import end_while_loading

# `python -m nodes.odometry` imports this before the module itself, whose imports take a second; so does the installed
# command odometry_node. Whoever imports the package for anything else keeps the signals as they are.
if sys.argv[0] == "-m" or sys.argv[0].endswith("_node"):
    end_while_loading()
