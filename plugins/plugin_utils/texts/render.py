# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a run record into what people read: the summary on the terminal and the report in Markdown.

Pure functions of the record; they decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ansible_collections.ops.remediation.plugins.module_utils._areas.registry import AREAS
from ansible_collections.ops.remediation.plugins.plugin_utils.record.folding import STATUS_ORDER
from ansible_collections.ops.remediation.plugins.plugin_utils.texts.catalogue import LANGUAGES, load_yaml

KST = timezone(timedelta(hours=9), "KST")
MOST_REMARKS = 10  # of the summary; the report has all
Color = Callable[[str, str], str]


def plain(text: str, _status: str) -> str:
    """Return the text as it is: a terminal without colours, a file."""
    return text


_INTERFACE = load_yaml(Path(__file__).parent / "interface.yml")
# {language: {name: text, or the columns of a table}}, {playbook: {language: name}}
WORDS: dict[str, dict[str, Any]] = {
    language: {name: text[language] for name, text in _INTERFACE["words"].items()} for language in LANGUAGES
}
CADENCES: dict[str, dict[str, str]] = _INTERFACE["cadences"]


def summary(record: Mapping[str, Any], report_place: str | None, color: Color = plain) -> str:
    """Return the terminal summary: one line per host and area, roots first, cause and next step for what is not well.

    report_place: where the report lies; None when none was written.
    """
    words = WORDS[record["language"]]
    lines: list[str | None] = ["", _headline(record), ""]
    for group in _groups(record["findings"]):
        lines += _group_lines(group, record, words, color)
    lines += [f"  {host['host']}  {words['nothing']}" for host in record["hosts"] if host["state"] == "nothing_to_check"]
    lines += _remark_lines(record, words, color)
    lines += ["", _verdict_line(record, words, color), _place_line(record, report_place, words)]
    return "\n".join(line for line in lines if line is not None)


def _remark_lines(record: Mapping[str, Any], words: Mapping[str, Any], color: Color) -> list[str]:
    remarks = record.get("remarks", [])
    lines = [f"  {color(words['remark'], 'warning')}: {remark['texts'][record['language']]}" for remark in remarks[:MOST_REMARKS]]
    if len(remarks) > MOST_REMARKS:
        lines.append(f"  {words['more_remarks'].format(number=len(remarks) - MOST_REMARKS)}")
    return ["", *lines] if lines else []


def _headline(record: Mapping[str, Any]) -> str:
    words, totals = WORDS[record["language"]], record["totals"]
    seconds = f"{record['timing']['duration_ms'] / 1000:.1f}"
    parts = (
        _cadence(record),
        _kst(record["started_at"]),
        words["hosts"].format(number=totals["hosts"]),
        words["checks"].format(answered=totals["checked"], expected=totals["expected"]),
        words["took"].format(seconds=seconds),
    )
    return " · ".join(parts)


def _cadence(record: Mapping[str, Any]) -> str:
    name = record["cadence"] or record["playbook"]
    return CADENCES.get(name, {}).get(record["language"], name)


def _groups(findings: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Group findings by host and area, in the order in which the worst root of each comes."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for finding in findings:
        groups.setdefault((finding["host"], finding["area"]), []).append(finding)
    well = [group for group in groups.values() if _worst(group) == "ok"]
    well.sort(key=lambda group: (group[0]["host"], AREAS.index(group[0]["area"]) if group[0]["area"] in AREAS else len(AREAS)))
    return [group for group in groups.values() if _worst(group) != "ok"] + well


def _worst(group: Iterable[Mapping[str, Any]]) -> str:
    return min((finding["status"] for finding in group), key=STATUS_ORDER.__getitem__)


def _group_lines(group: list[Mapping[str, Any]], record: Mapping[str, Any], words: Mapping[str, Any], color: Color) -> list[str]:
    first, worst = group[0], _worst(group)
    checks = {finding["check"] for finding in group}
    answered = {finding["check"] for finding in group if finding["status"] != "unknown"}
    state = color(f"{words[worst]:<9}", worst)
    lines = [f"  {first['host']:<16} {first['area']:<12} {state} {words['checks'].format(answered=len(answered), expected=len(checks))}"]
    for same in _same_cause(finding for finding in group if finding["status"] != "ok" and not finding["follows_from"]):
        lines += _fault_lines(same, record, words, color)
    roots = {finding["follows_from"] for finding in group if finding["follows_from"]}
    if roots and all(finding["follows_from"] or finding["status"] == "ok" for finding in group):
        codes = ", ".join(sorted(_short(root) for root in roots))
        lines.append(f"      {words['follows'].format(codes=codes)}")
    return lines


def _same_cause(findings: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Group findings that say the same of different checks, such as five checks that one refused login kept from being asked."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for finding in findings:
        same = finding["status"] == "unknown" and finding["texts"]["en"]["cause"]
        groups.setdefault((finding["code"], same or finding["id"]), []).append(finding)
    return list(groups.values())


def _fault_lines(same: list[Mapping[str, Any]], record: Mapping[str, Any], words: Mapping[str, Any], color: Color) -> list[str]:
    finding, others = same[0], same[1:]
    texts = finding["texts"][record["language"]]
    lines = [f"    {color('●', finding['status'])} {texts['title']}  [{finding['code']} {finding['severity']}]"]
    lines += [f"      {words[part]}: {texts[part]}" for part in ("cause", "next") if texts[part]]
    if others:
        lines.append(f"      {words['same']}: {', '.join(_name(other) for other in others)}")
    explained = _explained(finding, record)
    if explained:
        lines.append(f"      {words['explains']}: {', '.join(explained)}")
    return lines


def _explained(root: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    return [_name(finding) for finding in record["findings"] if finding["follows_from"] == root["id"]]


def _name(finding: Mapping[str, Any]) -> str:
    what = finding["check"] if finding["status"] == "unknown" else finding["code"]
    subject = f" {finding['subject']}" if finding["subject"] else ""
    return f"{what}{subject} ({finding['host']})"


def _short(identity: str) -> str:
    host, _check, subject, code = identity.split("|", 3)
    return f"{code}{' ' + subject if subject else ''} ({host})"


def _verdict_line(record: Mapping[str, Any], words: Mapping[str, Any], color: Color) -> str:
    verdict, totals = record["verdict"], record["totals"]
    counts = ", ".join(f"{totals[status]} {words[status].lower()}" for status in ("critical", "unknown", "warning") if totals[status])
    state = color(words["failed"], "critical") if verdict["failed"] else color(words["passed"], "ok")
    nothing = "" if totals["checked"] else words[_why_nothing(totals)].format(**totals)
    return f"{words['result']}: {state} - {nothing or counts or words['well']} (remediation_fail_on: {verdict['fail_on']})"


def _why_nothing(totals: Mapping[str, int]) -> str:
    if totals["expected"]:
        return "nothing_checked"
    return "nobody_asked" if totals["unknown"] else "nothing_expected"


def _place_line(record: Mapping[str, Any], place: str | None, words: Mapping[str, Any]) -> str | None:
    if place:
        return f"{words['report']}: {place}"
    return words["not_written"] if record["check_mode"] else None


def _kst(moment: str) -> str:
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).astimezone(KST).strftime("%Y-%m-%d %H:%M KST")


def report(record: Mapping[str, Any]) -> str:
    """Return the report in Markdown, in the language of the run."""
    words = WORDS[record["language"]]
    lines = [f"# {_cadence(record)} - {_kst(record['started_at'])}", "", _verdict_line(record, words, plain), ""]
    lines += [
        f"- {_headline(record)}",
        f"- run_id: {record['run_id']}, ops.remediation {record['collection_version']}, {record['playbook']}",
        "",
    ]
    bad = [finding for finding in record["findings"] if finding["status"] != "ok"]
    if bad:
        lines += [f"## {words['what']}", ""]
        for finding in bad:
            lines += _report_fault(finding, record, words)
    if record.get("remarks"):
        lines += [f"## {words['remarks']}", "", *(f"- {_cell(remark['texts'][record['language']])}" for remark in record["remarks"]), ""]
    lines += [f"## {words['all']}", "", *_table(record["findings"], words), ""]
    if record["actions"]:
        lines += [f"## {words['actions']}", "", *(_action_line(action, words) for action in record["actions"]), ""]
    return "\n".join(lines)


def _report_fault(finding: Mapping[str, Any], record: Mapping[str, Any], words: Mapping[str, Any]) -> list[str]:
    texts = finding["texts"][record["language"]]
    lines = [
        f"### {_cell(texts['title'])}",
        "",
        f"`{finding['code']}` · {finding['severity']} · {words[finding['status']]} · {_cell(finding['host'])}",
        "",
    ]
    lines += [f"- {words[part]}: {_cell(texts[part])}" for part in ("cause", "next") if texts[part]]
    if finding["value"] is not None:
        lines.append(f"- {words['measure']}: {_cell(finding['value'])} {finding['unit']} ({_cell(finding['threshold'])})")
    if finding["remedies"]:
        lines.append(f"- {words['remedies']}: {', '.join(finding['remedies'])}")
    if finding["follows_from"]:
        lines.append(f"- {words['follows'].format(codes=_cell(_short(finding['follows_from'])))}")
    explained = _explained(finding, record)
    if explained:
        lines.append(f"- {words['explains']}: {_cell(', '.join(explained))}")
    lines.append(f"- {words['asked_from']}: {_cell(finding['asked_from'])}, {finding['checked_at']}")
    evidence = {key: value for key, value in finding["evidence"].items() if key != "not_asked"}
    if evidence:
        lines.append(f"- {words['evidence']}: " + "; ".join(f"{key} = {_cell(value)}" for key, value in evidence.items()))
    if finding["evidence"].get("not_asked"):
        lines.append(f"- {words['not_asked']}: {_cell(finding['evidence']['not_asked'])}")
    return [*lines, ""]


def _action_line(action: Mapping[str, Any], words: Mapping[str, Any]) -> str:
    marks = [words[mark] for mark, holds in (("planned", action["check_mode"]), ("action_failed", action["failed"])) if holds]
    what = f"{action['host']}: {action['module'].rsplit('.', 1)[-1]}" + (f" ({', '.join(marks)})" if marks else "")
    told = "; ".join(text for text in (action["detail"], *action["steps"]) if text) or action["task"]
    return f"- {_kst(action['at'])} · {_cell(what)} - {_cell(told)}"


def _table(findings: Iterable[Mapping[str, Any]], words: Mapping[str, Any]) -> list[str]:
    columns = words["columns"]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for finding in findings:
        cells = (
            finding["host"],
            finding["area"],
            finding["check"],
            finding["subject"],
            words[finding["status"]],
            finding["code"],
            finding["severity"],
        )
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return lines


def _cell(value: Any) -> str:
    """Return text that cannot break out of a Markdown line or table cell, or become markup."""
    text = " ".join(str(value).split())
    for character in "\\`|<>[]*_":
        text = text.replace(character, "\\" + character)
    return text
