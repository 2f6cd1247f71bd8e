# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the validity of a certificate from its DER or PEM form (RFC 5280), without a library or a program.

Python's ssl module returns the dates only of certificates that it trusts, but self-signed and expired ones matter here.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import re
from datetime import datetime

from .._core.errors import CannotRead

MAX_FILE = 1024 * 1024
_PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----([A-Za-z0-9+/=\s]{1,65536})-----END")
_SEQUENCE, _INTEGER, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0x02, 0xA0, 0x17, 0x18


def validity_of_file(path: str) -> tuple[int, int]:
    """Return (not before, not after) of a PEM or DER file in epoch seconds; of a chain, the time in which all of it is valid.

    Raises CannotRead with the reason.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE)
    except (OSError, ValueError) as error:
        raise CannotRead(f"the certificate {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        found = [validity(one) for one in _certificates(data)]
    except CannotRead as error:
        raise CannotRead(f"{path}: {error.message}") from error
    return max(before for before, _after in found), min(after for _before, after in found)


def _certificates(data: bytes) -> list[bytes]:
    blocks = _PEM.findall(data)
    if not blocks:
        return [data]
    try:
        return [base64.b64decode(block) for block in blocks[:20]]
    except binascii.Error as error:
        raise CannotRead("a certificate is damaged (not base64)") from error


def validity(der: bytes) -> tuple[int, int]:
    """Return (not before, not after) of a certificate in epoch seconds; raises CannotRead for other data."""
    certificate, _end = _element(der, 0, _SEQUENCE)
    inside, _end = _element(der, certificate, _SEQUENCE)
    position = inside
    if der[position : position + 1] == bytes([_VERSION]):
        position = _element(der, position, _VERSION)[1]
    for tag in (_INTEGER, _SEQUENCE, _SEQUENCE):  # serial number, algorithm, issuer
        position = _element(der, position, tag)[1]
    start, _end = _element(der, position, _SEQUENCE)
    before, position = _time(der, start)
    after, _end = _time(der, position)
    return before, after


def _element(data: bytes, position: int, tag: int) -> tuple[int, int]:
    """Return where the content of an element begins and ends."""
    if position + 2 > len(data) or data[position] != tag:
        raise CannotRead("this is not a certificate")
    length, position = data[position + 1], position + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or position + count > len(data):
            raise CannotRead("this is not a certificate")
        length, position = int.from_bytes(data[position : position + count], "big"), position + count
    if position + length > len(data):
        raise CannotRead("the certificate is cut off")
    return position, position + length


def _time(data: bytes, position: int) -> tuple[int, int]:
    tag = data[position] if position < len(data) else 0
    if tag not in (_UTC_TIME, _GENERALIZED_TIME):
        raise CannotRead("this is not a certificate")
    start, end = _element(data, position, tag)
    text = data[start:end].decode("ascii", "replace")
    if tag == _UTC_TIME:
        text = ("20" if text[:1] < "5" else "19") + text
    if not re.fullmatch(r"[0-9]{14}Z", text):
        raise CannotRead("the certificate's dates cannot be read")
    try:
        return calendar.timegm(datetime.strptime(text, "%Y%m%d%H%M%SZ").timetuple()), end
    except ValueError as error:
        raise CannotRead("the certificate's dates cannot be read") from error
