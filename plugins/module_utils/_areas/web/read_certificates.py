# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FIXME: say what this file holds."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from typing import Any

from ..._core.errors import RemediationError, WrongQuestion
from ..._core.masking import mask
from ..._core.source import Source
from ..._shared.certificates import validity, validity_of_file
from ..._shared.http_client import REFUSED, TIMEOUT, open_connection, problem_of, split


def read_certificates(
    url: str | None = None,
    address: str | None = None,
    certificate_files: Sequence[str] | None = None,
    ca_file: str | None = None,
    timeout: float | None = None,
) -> list[dict[str, Any]]:
    """Return the validity of the certificate that a site presents, and of certificate files.

    An entry: ``subject`` (host:port or path), ``live``, ``not_before not_after`` (epoch seconds), ``problem``
    ("" or why it could not be read), ``refused`` (nothing listens there), and for a live one ``trusted`` with ``distrust`` (what a
    browser would say).
    """
    found = []
    if url and split(url)[0] == "https":
        found.append(_live_certificate(url, address, ca_file, timeout or TIMEOUT))
    files = ({"subject": path, "live": False, "trusted": None, "distrust": "", **_file_validity(path)} for path in certificate_files or [])
    return [*found, *files]


def _file_validity(path: str) -> dict[str, Any]:
    try:
        before, after = validity_of_file(path)
    except RemediationError as error:
        return {"not_before": None, "not_after": None, "problem": error.message}
    return {"not_before": before, "not_after": after, "problem": ""}


def _live_certificate(url: str, address: str | None, ca_file: str | None, within: float) -> dict[str, Any]:
    scheme, host, port, _target = split(url)
    entry: dict[str, Any] = {"subject": f"{host}:{port}", "live": True, "not_before": None, "not_after": None, "problem": ""}
    entry.update(trusted=None, distrust="")
    try:
        with open_connection(scheme, host, port, time.monotonic() + within, address) as connection:
            presented = connection.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        entry["not_before"], entry["not_after"] = validity(presented or b"")
    except (OSError, ValueError) as error:
        entry["problem"] = f"{host}:{port} presents no certificate: {mask(str(error), limit=120)}"
        entry["refused"] = problem_of(error) == REFUSED
        return entry
    except RemediationError as error:
        entry["problem"] = error.message
        return entry
    entry["trusted"], entry["distrust"] = _trust(scheme, host, port, within, address, ca_file)
    return entry


def _trust(scheme: str, host: str, port: int, within: float, address: str | None, ca_file: str | None) -> tuple[bool | None, str]:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise WrongQuestion(
            "ca_file", ca_file, f"cannot be read ({error.strerror or error})", "give a file with CA certificates"
        ) from error
    try:
        with open_connection(scheme, host, port, time.monotonic() + within, address, context):
            return True, ""
    except ssl.SSLCertVerificationError as error:
        return False, error.verify_message
    except (OSError, ValueError) as error:
        return None, mask(str(error), limit=120)


CERTIFICATES = Source("web.certificate", read_certificates, ("url", "address", "certificate_files", "ca_file", "timeout"))
