# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an error of the driver means: the manuals' code, and why. Codes and errno decide, never the text, which differs by version.

In thin mode python-oracledb has codes of its own (DPY), which the manuals do not know; ``DPY-6005`` only wraps the error that
ended the connecting, its ``__cause__``. Facts measured with releases 3.4 to 26.1; thick mode gives the ORA numbers themselves.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any

from ..._core.masking import mask
from ..._core.references import scrub
from .. import tcp

SAID = 200  # characters kept of a driver's message
# The account's state: every login with the same credentials gets this answer.
REFUSALS = ("ORA-01017", "ORA-28000", "ORA-28001", "ORA-28009")
# Each of these counts towards the lock of the account.
COUNTED = ("ORA-01017",)

_CONNECTING = "DPY-6005"
_DROPPED = "DPY-4011"
QUERY_TOO_SLOW = "DPY-4024"
EXPIRES_SOON = "ORA-28002"
_OTHER_NAME = (62, 64)  # OpenSSL's codes for a certificate of another host name or address
_NUMBER = re.compile(r"\bORA-(\d{5})\b")
_CONNECTION_ID = re.compile(r"\s*\(CONNECTION_ID=[^)]*\)")

# Code of the driver, listener or database -> (the manuals' code, why).
_KNOWN: dict[str, tuple[str, str]] = {
    "DPY-6001": ("ORA-12514", "service"),
    "DPY-6003": ("ORA-12505", "sid"),
    "DPY-6000": ("ORA-12518", "refused"),
    "DPY-6002": ("ORA-12537", "certificate_name"),
    "DPY-6006": ("ORA-12537", "certificate_name"),
    "DPY-3001": ("oracle.needs_thick", "encryption"),
    "DPY-3010": ("oracle.needs_thick", "old_server"),
    "DPY-3015": ("oracle.needs_thick", "verifier"),
    "DPY-4000": ("oracle.tns_alias", "unknown"),
    "DPY-4026": ("oracle.tns_alias", "no_file"),
    "DPY-4027": ("oracle.tns_alias", "no_folder"),
    "DPY-2049": ("oracle.tns_alias", "malformed"),
    "DPY-4017": ("oracle.tns_alias", "malformed"),
    "DPY-4018": ("oracle.tns_alias", "malformed"),
    "DPY-4021": ("oracle.tns_alias", "malformed"),
    "DPY-4022": ("oracle.tns_alias", "malformed"),
    "DPI-1047": ("oracle.instant_client_missing", "not_loaded"),
    "DPI-1050": ("oracle.instant_client_missing", "too_old"),
    "DPI-1072": ("oracle.instant_client_missing", "too_old"),
    # The listener.
    "ORA-12514": ("ORA-12514", "service"),
    "ORA-12521": ("ORA-12514", "service"),
    "ORA-12505": ("ORA-12505", "sid"),
    "ORA-12516": ("ORA-12518", "refused"),
    "ORA-12518": ("ORA-12518", "refused"),
    "ORA-12519": ("ORA-12518", "refused"),
    "ORA-12520": ("ORA-12518", "refused"),
    "ORA-12526": ("ORA-12518", "refused"),
    "ORA-12527": ("ORA-12518", "refused"),
    "ORA-12528": ("ORA-12518", "refused"),
    "ORA-12541": ("ORA-12541", "refused"),
    "ORA-12170": ("ORA-12170", "timeout"),
    "ORA-12535": ("ORA-12170", "timeout"),
    "ORA-12543": ("ORA-12170", "no_route"),
    "ORA-12537": ("ORA-12537", "closed"),
    "ORA-12547": ("ORA-12537", "closed"),
    "ORA-12545": ("oracle.name_unknown", "unknown"),
    "ORA-12154": ("oracle.tns_alias", "unknown"),
    "ORA-12650": ("oracle.needs_thick", "encryption"),
    "ORA-12660": ("oracle.needs_thick", "encryption"),
    "ORA-28040": ("oracle.needs_thick", "verifier"),
    # The account.
    "ORA-01017": ("ORA-01017", "password"),
    "ORA-28000": ("ORA-28000", "locked"),
    "ORA-28001": ("ORA-28001", "expired"),
    "ORA-28009": ("ORA-28009", "sysdba"),
    "ORA-01031": ("oracle.no_privilege", "mode"),
    "ORA-01045": ("oracle.no_privilege", "create_session"),
    "ORA-00942": ("oracle.no_privilege", "object"),
    # The instance.
    "ORA-01034": ("ORA-01034", "down"),
    "ORA-27101": ("ORA-01034", "down"),
    "ORA-01033": ("ORA-01033", "starting"),
    "ORA-01089": ("ORA-01033", "stopping"),
    "ORA-01090": ("ORA-01033", "stopping"),
    "ORA-01092": ("ORA-01034", "down"),
    "ORA-01109": ("ORA-01033", "not_open"),
    "ORA-01219": ("ORA-01033", "not_open"),
    "ORA-00018": ("ORA-12518", "sessions"),
    "ORA-00020": ("ORA-12518", "processes"),
    "ORA-02391": ("ORA-12518", "profile"),
    # The connection.
    "ORA-03113": ("ORA-03113", "dropped"),
    "ORA-03114": ("ORA-03113", "dropped"),
    "ORA-03135": ("ORA-03113", "dropped"),
    "ORA-01012": ("ORA-03113", "dropped"),
    "ORA-00028": ("ORA-03113", "killed"),
    "ORA-02396": ("ORA-03113", "idle"),
    "ORA-02399": ("ORA-03113", "idle"),
}
_ERRNO = {
    errno.ECONNREFUSED: ("ORA-12541", "refused"),
    errno.ETIMEDOUT: ("ORA-12170", "timeout"),
    errno.EHOSTUNREACH: ("ORA-12170", "no_route"),
    errno.ENETUNREACH: ("ORA-12170", "no_route"),
    errno.EHOSTDOWN: ("ORA-12170", "no_route"),
    errno.ECONNRESET: ("ORA-12537", "closed"),
    errno.EPIPE: ("ORA-12537", "closed"),
}


# Where a login really ended: the driver goes through all stages in one call.
_ENDED_EARLIER = {"ORA-12514": "listener", "ORA-12505": "listener", "ORA-12537": "listener", "ORA-12541": "tcp"}
_BY_THE_LISTENER = ("refused", "old_server", "encryption")


@dataclass(frozen=True)
class Outcome:
    """Why a target failed.

    code: the manuals' code, "" for an unknown error. reason: why, for the texts. driver_code: what the driver or the
    database called it. more: what else is known, such as the listener's number.
    """

    code: str
    reason: str
    driver_code: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> str:
        """The stage that a login really ended in."""
        by_listener = self.code in ("ORA-12518", "oracle.needs_thick") and self.reason in _BY_THE_LISTENER
        return "listener" if by_listener else _ENDED_EARLIER.get(self.code, "login")


def explain(error: BaseException, stage: str, secrets: tuple[str, ...] = ()) -> Outcome:
    """Return what an error of the driver or of a socket means, raised at a stage (name, tcp, listener, login, query)."""
    wrapped = full_code(error) == _CONNECTING and error.__cause__ is not None
    inner: BaseException = (error.__cause__ if wrapped else None) or error
    code = full_code(inner)
    if code == _DROPPED:
        return _dropped(inner, wrapped)
    if code in _KNOWN:
        return _known(inner, code, stage)
    if isinstance(inner, OSError):
        return _of_the_network(inner, stage, secrets)
    return Outcome("", "", code or type(inner).__name__, {"said": said(inner, secrets)})


def _dropped(error: BaseException, before_accept: bool) -> Outcome:
    """Return why a connection ended. A database that ends it itself has its number behind the driver's code."""
    told = next(iter(numbers(error)), "")
    if told in _KNOWN:
        meaning, reason = _KNOWN[told]
        return Outcome(meaning, reason, told)
    more = {"number": told} if told else {}
    return Outcome("ORA-12537", "closed", _DROPPED, more) if before_accept else Outcome("ORA-03113", "dropped", _DROPPED, more)


def _known(error: BaseException, code: str, stage: str) -> Outcome:
    meaning, reason = _KNOWN[code]
    if (code, stage) == ("ORA-01031", "query"):
        reason = "object"
    # The driver has one code for whatever else a listener refuses, and the listener's number in the text only.
    told = numbers(error) if code == "DPY-6000" else []
    return Outcome(meaning, reason, code, {"number": told[0]} if told else {})


def _of_the_network(error: OSError, stage: str, secrets: tuple[str, ...]) -> Outcome:
    number = errno.errorcode.get(error.errno or 0, "")
    state = error.state if isinstance(error, tcp.NotConnected) else ""
    if isinstance(error, socket.gaierror) or state == "name":
        known = {socket.EAI_AGAIN: "no_dns"}
        return Outcome("oracle.name_unknown", known.get(error.errno or 0, "unknown"), "gaierror")
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = "certificate_name" if getattr(error, "verify_code", 0) in _OTHER_NAME else "certificate"
        return Outcome("ORA-12537", reason, type(error).__name__, {"said": said(error, secrets)})
    if isinstance(error, ssl.SSLError):
        return Outcome("ORA-12537", "tls", type(error).__name__, {"said": said(error, secrets)})
    if (isinstance(error, (TimeoutError, socket.timeout)) or state == "timeout") and not number:
        return Outcome("ORA-12170", "timeout", "TimeoutError")
    if error.errno in _ERRNO:
        code, reason = _ERRNO[error.errno]
        return Outcome("ORA-03113" if code == "ORA-12537" and stage == "query" else code, reason, number)
    return Outcome("", "", number or type(error).__name__, {"said": said(error, secrets)})


def full_code(error: BaseException) -> str:
    """Return the code of a driver's error, such as DPY-6001 or ORA-01017; "" for other errors."""
    return str(getattr(error.args[0], "full_code", "") or "") if error.args else ""


def numbers(error: BaseException) -> list[str]:
    """Return the ORA numbers that stand in an error's text."""
    return [f"ORA-{number}" for number in _NUMBER.findall(str(error))]


def said(error: BaseException, secrets: tuple[str, ...] = ()) -> str:
    """Return the first line of an error, without secrets and without the connection's random id."""
    text = _CONNECTION_ID.sub("", (str(error).splitlines() or [""])[0])
    for secret in secrets:
        text = scrub(text, secret)
    return mask(" ".join(text.split()), SAID)
