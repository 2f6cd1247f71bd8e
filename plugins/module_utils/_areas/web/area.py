# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area web: its sources and its checks (manual 1 section 8, manual 2 section 10, product facts)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.source import Source
from ..._shared import http_client as _web
from . import checks as _web_checks

PAGE = Source("web.page", _web.read_page, ("url", "address", "timeout"))
PATHS = Source("web.paths", _web.read_paths, ("url", "paths", "address", "timeout"))
BUILD = Source("web.build", _web.read_build, ("build_dir",))
CERTIFICATE = Source("web.certificate", _web.read_certificates, ("url", "address", "certificate_files", "ca_file", "timeout"))

CHECKS = (
    Check(
        "web.page",
        "Is the page served, with every file that it loads?",
        _web_checks.page,
        (PAGE, BUILD),
        _web_checks.PAGE_PARAMETERS,
        runs_on="web",
    ),
    Check(
        "web.gateway",
        "Does what nginx passes on answer?",
        _web_checks.gateway,
        (PATHS, PAGE),
        _web_checks.GATEWAY_PARAMETERS,
        runs_on="web",
    ),
    Check(
        "web.secrets", "Does the page keep secrets out?", _web_checks.secrets, (PAGE, BUILD), _web_checks.SECRETS_PARAMETERS, runs_on="web"
    ),
    Check(
        "web.headers",
        "Does the page carry the headers that protect it?",
        _web_checks.headers,
        (PAGE, BUILD),
        _web_checks.HEADERS_PARAMETERS,
        runs_on="web",
    ),
    Check(
        "web.certificate",
        "Is each certificate valid for a while yet?",
        _web_checks.certificate,
        (CERTIFICATE,),
        _web_checks.CERTIFICATE_PARAMETERS,
        runs_on="web",
    ),
)
