# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read until when certificates are valid: the one that a site presents, and certificate files."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from typing import TypedDict

from ..._core.errors import RemediationError, WrongQuestion
from ..._core.masking import mask
from ..._core.source import Source
from ..._shared.certificates import validity, validity_of_file
from ..._shared.http_client import REFUSED, TIMEOUT, open_connection, problem_of, split


class CertificateFacts(TypedDict):
    """The validity of one certificate; times are epoch seconds, None when it could not be read."""

    subject: str  # host:port or path
    live: bool  # a site presents it
    not_before: int | None
    not_after: int | None
    problem: str  # why it could not be read, "" when it could
    refused: bool  # nothing listens on the port
    trusted: bool | None  # whether a browser trusts it, None when that is not known
    distrust: str  # why a browser does not


def read_certificates(
    url: str | None = None,
    address: str | None = None,
    certificate_files: Sequence[str] | None = None,
    ca_file: str | None = None,
    timeout: float | None = None,
) -> list[CertificateFacts]:
    """Return the certificate that a site presents, where its url is https, and those of certificate files.

    address: connect to this address instead of to the host of the url. ca_file: CA certificates to trust instead of the system's. timeout:
    seconds for one connection.
    """
    found = []
    if url and split(url)[0] == "https":
        found.append(_live_certificate(url, address, ca_file, timeout or TIMEOUT))
    return [*found, *(_file_certificate(path) for path in certificate_files or [])]


def _new_entry(subject: str, live: bool) -> CertificateFacts:
    return {
        "subject": subject,
        "live": live,
        "not_before": None,
        "not_after": None,
        "problem": "",
        "refused": False,
        "trusted": None,
        "distrust": "",
    }


def _file_certificate(path: str) -> CertificateFacts:
    entry = _new_entry(path, live=False)
    try:
        entry["not_before"], entry["not_after"] = validity_of_file(path)
    except RemediationError as error:
        entry["problem"] = error.message
    return entry


def _live_certificate(url: str, address: str | None, ca_file: str | None, within: float) -> CertificateFacts:
    _scheme, host, port, _target = split(url)
    entry = _new_entry(f"{host}:{port}", live=True)
    try:
        with open_connection("https", host, port, time.monotonic() + within, address) as connection:
            presented = connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLSocket) else None
        entry["not_before"], entry["not_after"] = validity(presented or b"")
    except (OSError, ValueError) as error:
        entry["problem"] = f"{host}:{port} presents no certificate: {mask(str(error), limit=120)}"
        entry["refused"] = problem_of(error) == REFUSED
        return entry
    except RemediationError as error:
        entry["problem"] = error.message
        return entry
    entry["trusted"], entry["distrust"] = _trust(host, port, within, address, ca_file)
    return entry


def _trust(host: str, port: int, within: float, address: str | None, ca_file: str | None) -> tuple[bool | None, str]:
    """Return whether a browser trusts the certificate of a site, and why not; raises WrongQuestion for an unusable ca_file."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise WrongQuestion(
            "ca_file", ca_file, f"cannot be read ({error.strerror or error})", "give a file with CA certificates"
        ) from error
    try:
        with open_connection("https", host, port, time.monotonic() + within, address, context):
            return True, ""
    except ssl.SSLCertVerificationError as error:
        return False, error.verify_message
    except (OSError, ValueError) as error:
        return None, mask(str(error), limit=120)


CERTIFICATES = Source("web.certificate", read_certificates, ("url", "address", "certificate_files", "ca_file", "timeout"))
