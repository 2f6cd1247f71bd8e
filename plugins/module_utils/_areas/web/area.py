# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area web: its checks (manual 1 section 8, manual 2 section 10, product facts).

Is the served page whole and without secrets, does the API answer behind it, are certificate and headers in order?
"""

from __future__ import annotations

from . import check_certificate, check_gateway, check_headers, check_page, check_secrets

CHECKS = (check_page.CHECK, check_gateway.CHECK, check_secrets.CHECK, check_headers.CHECK, check_certificate.CHECK)
