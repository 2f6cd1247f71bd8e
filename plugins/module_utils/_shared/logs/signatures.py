# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The signatures of the applications' error lines, each with the fault or the cause that it indicates.

Sources: manual 1, sections 3 and 4 (error messages in the logs); measured texts of NestJS, Node, node-oracledb in thin mode
and the AWS SDK. Every line of a signature contains at least one of its literals; the first pass over a log searches for
literals only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Signature:
    """One known error message.

    name: unique among signatures. code: the fault that it is or points to, "" when the tables have none.
    literals: texts of which a matching line contains at least one. pattern: regular expression that the message must match; its
    groups ``detail`` (a variable, a module, an address) and ``cause`` are kept, masked.
    reads_on: the following lines belong to the message.
    """

    name: str
    code: str
    literals: tuple[str, ...]
    pattern: str
    reads_on: bool = False
    regex: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "regex", re.compile(self.pattern))

    @property
    def area(self) -> str:
        """The area that the error belongs to."""
        return _AREA_OF_CODE.get(self.code[:3], self.code.split(".", 1)[0]) if self.code else self.name.split("_", 1)[0]


_AREA_OF_CODE = {"ORA": "oracle"}


def _s(name: str, code: str, literals: str | tuple[str, ...], pattern: str | None = None, reads_on: bool = False) -> Signature:
    texts = (literals,) if isinstance(literals, str) else literals
    return Signature(name, code, texts, pattern or "|".join(re.escape(text) for text in texts), reads_on)


# Tank's own messages come first: other signatures in the same message are their causes.
SIGNATURES: tuple[Signature, ...] = (
    _s("worker_oracle", "worker.oracle_failed", "Oracle connection failed"),
    _s("worker_ses", "worker.ses_error", "SES send error", r"SES send error(?::\s*(?P<detail>[A-Z]\w{2,60}))?"),
    _s("worker_file", "worker.file_not_found", "File not found", r"File not found:?\s*(?P<detail>[^\s(]{1,200})?"),
    _s(
        "worker_template",
        "worker.template_mismatch",
        "Template variable mismatch",
        r"Template variable mismatch:?\s*(?P<detail>[^\n]{0,200}?\$\(\w+\)|[^\n:]{0,120})",
    ),
    # Applications that do not start (manual 1 section 3).
    _s(
        "backend_di",
        "backend.di_error",
        "Nest can't resolve dependencies of",
        r"Nest can't resolve dependencies of the (?P<detail>[^\s.]{1,120})",
    ),
    _s("backend_instance", "backend.di_error", "Nest cannot create the", r"Nest cannot create the (?P<detail>[^\n]{0,80}?)\s*instance"),
    _s("backend_env", "backend.env_invalid", "Config validation error:", reads_on=True),
    _s("backend_env_key", "backend.env_invalid", "Configuration key", r"Configuration key \"(?P<detail>[^\"\n]{1,100})\" does not exist"),
    _s(
        "backend_port",
        "backend.port_conflict",
        "EADDRINUSE",
        r"EADDRINUSE: address already in use (?P<detail>\S{1,100})|EADDRINUSE (?P<detail2>\S{1,100})",
    ),
    _s(
        "backend_module",
        "backend.module_missing",
        ("Cannot find module '", "Cannot find package '"),
        r"Cannot find (?:module|package) '(?P<detail>[^'\n]{1,200})'",
    ),
    # Oracle, thin mode: NJS numbers, with the listener's ORA number behind some.
    _s(
        "oracle_refused",
        "ORA-12518",
        ("NJS-511", "ORA-12516", "ORA-12518", "ORA-12519", "ORA-12520", "ORA-12528", "ORA-00018", "ORA-00020", "ORA-02391"),
    ),
    _s("oracle_nothing_listens", "ORA-12541", ("NJS-503", "ORA-12541"), r"NJS-503(?![^\n]*\n[^\n]*(?:E\w*UNREACH|ETIMEDOUT))|ORA-12541"),
    _s("oracle_service", "ORA-12514", ("NJS-518", "ORA-12514")),
    _s("oracle_sid", "ORA-12505", ("NJS-519", "ORA-12505")),
    _s(
        "oracle_timeout",
        "ORA-12170",
        ("NJS-510", "ORA-12170", "ORA-12535", "NJS-503"),
        r"NJS-510|ORA-12170|ORA-12535|NJS-503[^\n]*\n[^\n]*(?:E\w*UNREACH|ETIMEDOUT)",
    ),
    _s("oracle_dropped", "ORA-12537", ("NJS-506", "NJS-507", "NJS-508", "NJS-521", "ORA-12537", "ORA-12547")),
    _s("oracle_host_name", "oracle.name_unknown", ("NJS-530",)),
    _s("oracle_alias", "oracle.tns_alias", ("NJS-514", "NJS-515", "NJS-516", "NJS-517", "NJS-520", "ORA-12154")),
    _s("oracle_thick", "oracle.needs_thick", ("NJS-116", "NJS-138", "NJS-531", "NJS-532", "NJS-533", "ORA-12660", "ORA-28040")),
    _s("oracle_slow", "oracle.slow", "NJS-123"),
    _s("oracle_pool", "oracle.pool_exhausted", ("NJS-040", "NJS-076")),
    _s("oracle_password", "ORA-01017", "ORA-01017"),
    _s("oracle_locked", "ORA-28000", "ORA-28000"),
    _s("oracle_expired", "ORA-28001", "ORA-28001"),
    _s("oracle_sysdba", "ORA-28009", "ORA-28009"),
    _s("oracle_privilege", "oracle.no_privilege", ("ORA-00942", "ORA-01031", "ORA-01045")),
    _s("oracle_down", "ORA-01034", ("ORA-01034", "ORA-27101", "ORA-01092")),
    _s("oracle_starting", "ORA-01033", ("ORA-01033", "ORA-01089", "ORA-01090")),
    _s("oracle_lost", "ORA-03113", ("NJS-500", "NJS-501", "ORA-03113", "ORA-03114", "ORA-03135", "ORA-00028")),
    _s("oracle_other", "", ("NJS-", "ORA-"), r"\b(?P<cause>NJS-\d{3}|ORA-\d{5})\b"),
    # SES.
    _s("ses_rate", "ses.throttled", ("Maximum sending rate exceeded", "TooManyRequestsException", "Throttling")),
    _s("ses_quota", "ses.quota_exhausted", ("Daily message quota exceeded", "LimitExceededException")),
    _s("ses_denied", "ses.access_denied", ("not authorized to perform", "AccessDenied")),
    _s("ses_credentials", "ses.key_invalid", ("InvalidClientTokenId", "UnrecognizedClientException", "ExpiredToken")),
    _s("ses_clock", "ses.clock", "Signature expired:"),
    _s("ses_secret", "ses.key_invalid", ("SignatureDoesNotMatch", "InvalidSignatureException")),
    _s("ses_mail_from", "ses.mail_from", "MailFromDomainNotVerified"),
    _s(
        "ses_identity",
        "ses.identity_unverified",
        ("Email address is not verified", "MessageRejected"),
        r"Email address is not verified|MessageRejected(?!: Sending paused)",
    ),
    _s(
        "ses_paused",
        "ses.account_paused",
        ("Sending paused for this account", "SendingPausedException", "AccountSendingPaused", "AccountSuspendedException"),
    ),
    # Version 2 has one name for every invalid request (and NestJS has the same name), so the message decides.
    _s(
        "ses_address",
        "ses.invalid_address",
        ("InvalidParameter", "BadRequestException"),
        r"(?:InvalidParameter|BadRequestException: (?:Missing (?:final|local)|Local address|Domain (?:starts|ends|contains)|Illegal |Empty address"
        r"|Invalid (?:email )?address))(?:[^\n]{0,300}@(?P<detail>[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}))?",
    ),
    # Files: NAS or disk; Node knows no name for ESTALE and EDQUOT.
    _s("nas_stale", "nas.stale", "Unknown system error -116"),
    _s("nas_quota", "nas.disk_90", ("Unknown system error -122", "ENOSPC: ")),
    _s("nas_permission", "nas.no_permission", "EACCES: "),
    _s("nas_missing", "nas.path_missing", "ENOENT: "),
    _s("nas_io", "nas.stale", ("EIO: ", "ENOTCONN: ", "EHOSTDOWN: ")),
    _s("nas_read_only", "", "EROFS: "),
    # LogsDB: messages of the applications and of PostgreSQL.
    _s(
        "logsdb_away",
        "logsdb.unreachable",
        ("LogsDB not available", "LogsDB connection lost", "terminating connection due to"),
        r"(?:LogsDB not available|LogsDB connection lost).*(?:ECONN|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN|timeout|[Tt]erminat|starting up"
        r"|shutting down|too many|authentication)|terminating connection due to",
    ),
    # nginx's error log.
    _s("nginx_port", "nginx.port_conflict", "bind() to", r"bind\(\) to (?P<detail>\S{1,100}) failed \(98"),
    _s("nginx_502", "web.bad_gateway", "() failed (1", r"(?:connect|recv)\(\) failed \((?:111|104)"),
    _s("nginx_504", "web.gateway_timeout", "upstream timed out (110"),
    # The runtime.
    _s("runtime_heap", "", "JavaScript heap out of memory"),
)
BY_NAME = {signature.name: signature for signature in SIGNATURES}
# Words that mark an error line that no signature matches.
ERROR_WORDS = ("ERROR", "FATAL", "Error: ", "Exception: ", "Error [", '"level":"error"', '"level":"fatal"')
LITERALS: tuple[str, ...] = tuple(dict.fromkeys([text for signature in SIGNATURES for text in signature.literals] + list(ERROR_WORDS)))


def extended_regex() -> str:
    """Return the literals as patterns of ``grep -E``, one a line."""
    return "\n".join(re.sub(r"([][\\.^$*+?(){}|])", r"\\\1", text) for text in LITERALS)


def matching(text: str) -> list[tuple[Signature, str]]:
    """Return the signatures that match a message, in the order of the table, each with its detail ("" for none).

    ``oracle_other`` and signatures that a more specific one covers are left out.
    """
    found = []
    for signature in SIGNATURES:
        if not any(literal in text for literal in signature.literals):
            continue
        match = signature.regex.search(text)
        if match:
            groups = match.groupdict()
            found.append((signature, groups.get("detail") or groups.get("detail2") or groups.get("cause") or ""))
    if len(found) > 1:
        named = {signature.area for signature, _detail in found if signature.name != "oracle_other"}
        found = [pair for pair in found if pair[0].name != "oracle_other" or "oracle" not in named]
        # Version 1 of SES uses Throttling for the rate and for the daily quota.
        if any(signature.name == "ses_quota" for signature, _detail in found):
            found = [pair for pair in found if pair[0].name != "ses_rate"]
    return found


_VARIABLE = re.compile(r"\"([A-Za-z_][A-Za-z0-9_.]{0,80})\"|(?:^|[\n.;,] ?|: )-?\s*([A-Z][A-Z0-9_]{1,80}):")


def variables(message: str) -> list[str]:
    """Return the variables that a ``Config validation error`` names.

    Version 12 writes one a line (``PORT: "PORT" must be a number``), 3 and 4 join them by ``. ``.
    """
    _before, _words, behind = message.partition("Config validation error:")
    found = [first or second for first, second in _VARIABLE.findall(behind)]
    return list(dict.fromkeys(found))[:20]
