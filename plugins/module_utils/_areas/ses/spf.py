# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an SPF record names SES, also through the records that it includes (RFC 7208, sections 4.5, 4.6.4, 5.2 and 6.1). Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..._shared.dns import DnsAnswer

INCLUDE = "include:amazonses.com"
MOST_LOOKUPS = 10  # a receiver stops after these


def records_of(values: Sequence[str]) -> list[str]:
    """Return the SPF records among TXT records."""
    return [value for value in values if value.lower() == "v=spf1" or value.lower().startswith("v=spf1 ")]


def _words(values: Sequence[str]) -> list[str]:
    """Return the words of the one record; none where there is no record, or several, which are invalid."""
    records = records_of(values)
    return [word.lower().lstrip("+") for word in records[0].split()] if len(records) == 1 else []


def others_in(values: Sequence[str]) -> list[str]:
    """Return the names whose records the one record includes, none where it names SES itself."""
    words = _words(values)
    if INCLUDE in words:
        return []
    return [word.partition(sign)[2].rstrip(".") for word in words for sign in ("include:", "redirect=") if word.startswith(sign)]


def problem(values: Sequence[str], dns: Mapping[str, DnsAnswer]) -> str:
    """Return the problem of the SPF record among TXT records: missing, several, without (SES), unknown, "" for none.

    dns: answers by ``name TXT``, for the records that are included. unknown: DNS did not return all of them.
    """
    records = records_of(values)
    if len(records) != 1:
        return "several" if records else "missing"
    if INCLUDE in _words(values):
        return ""
    level, seen, unsure = others_in(values), set[str](), False
    while level and len(seen) < MOST_LOOKUPS:
        name = level.pop(0)
        if name in seen:
            continue
        seen.add(name)
        answer = dns.get(f"{name} TXT") or {"state": "late", "values": [], "said": ""}
        unsure = unsure or answer["state"] in ("failed", "late")
        if INCLUDE in _words(answer["values"]):
            return ""
        level += others_in(answer["values"])
    return "unknown" if unsure or set(level) - seen else "without"
