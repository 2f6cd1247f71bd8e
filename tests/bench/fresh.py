# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -S -E fresh.py [--peak FILE] PROGRAM ARGUMENTS...: run a program that inherits no memory peak.

A process inherits the peak (ru_maxrss) of the one that started it, so a measurement from within a big bench shows the bench. This process
is small. --peak: a file for the peak of the program and of its largest child, in kB.
"""

import os
import sys

arguments = sys.argv[1:]
target = ""
if arguments[0] == "--peak":
    target, arguments = arguments[1], arguments[2:]
child = os.posix_spawnp(arguments[0], arguments, os.environ)
_pid, status, usage = os.wait4(child, 0)
if target:
    with open(target, "w", encoding="ascii") as file:
        file.write(f"{usage.ru_maxrss}\n")
sys.exit(os.waitstatus_to_exitcode(status) % 256)
