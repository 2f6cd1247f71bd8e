# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``ops.remediation.cadence_checks``."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ops.remediation.plugins.plugin_utils.run.cadence import WrongCadence, choose


def cadence_checks(checks: list[dict[str, Any]], areas: list[str], **options: Any) -> list[dict[str, Any]]:
    """See cadence_checks.yml."""
    try:
        return choose(checks, areas, **options)
    except WrongCadence as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"cadence_checks": cadence_checks}
