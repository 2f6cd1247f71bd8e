# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the area together."""

from __future__ import annotations

from . import helpers as h


def test_parameters_of_the_module_do_not_differ_between_checks():
    known = {}
    for check in h.CHECKS.values():
        for name, spec in check.argument_spec.items():
            assert known.setdefault(name, spec) == spec
