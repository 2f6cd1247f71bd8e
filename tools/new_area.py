"""Make the skeleton of an area: its folder, a first check with its fault and texts, a breakage, and tests; and register it.

python tools/new_area.py AREA QUESTION THING     for example: redis ping server

AREA.QUESTION is the id of the first check, THING is what its source reads (the file read_THING.py). What the tool cannot know it marks with
«»; `ruff check` and the tests fail until that is written. docs/development.md has the steps in order.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
HOUSE = CHECKOUT / "plugins/module_utils"
NAME = re.compile(r"[a-z][a-z0-9_]*")
LICENCE = """\
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""
FILES = {
    "plugins/module_utils/_areas/AREA/__init__.py": "",
    "plugins/module_utils/_areas/AREA/area.py": '''"""The area AREA: its checks.

«What is checked, in a sentence for the table of areas in README.md.»
"""

from __future__ import annotations

from . import check_QUESTION

CHECKS = (check_QUESTION.CHECK,)
''',
    "plugins/module_utils/_areas/AREA/faults.py": '''"""The faults of AREA: what each code means for machines. Texts for people are in texts.yml."""

from __future__ import annotations

from ..._core.faults import Fault, table
from ..._core.finding import reporter

FAULTS = table(
    "AREA",
    Fault("AREA.no_answer", "P1", "+"),
)
fault = reporter(FAULTS)
''',
    "plugins/module_utils/_areas/AREA/check_QUESTION.py": '''"""AREA.QUESTION: «what it checks, and the rule behind it (docs/sources.md)»."""

from __future__ import annotations

from typing import Any

from ..._core.check import Check
from ..._core.finding import Finding, ok
from ..._core.source import Asked
from .faults import fault
from .read_THING import THING_UPPER, Facts

PARAMETERS: dict[str, dict[str, Any]] = {
    "host": {"type": "str", "default": "127.0.0.1", "variable": "stack_AREA_host", "description": "«What it is»."},
}


def judge(asked: Asked) -> list[Finding]:
    """Return «what»."""
    check = "AREA.QUESTION"
    facts: Facts = asked.read("AREA.THING")
    if facts["problem"]:
        return [fault("AREA.no_answer", check, facts["place"], evidence={"place": facts["place"], "problem": facts["problem"]})]
    return [ok(check, facts["place"])]


CHECK = Check("AREA.QUESTION", "«Does it answer?»", judge, (THING_UPPER,), PARAMETERS)
''',
    "plugins/module_utils/_areas/AREA/read_THING.py": '''"""The source AREA.THING: «what is read, with units»."""

from __future__ import annotations

from typing import TypedDict

from ..._core.source import Source


class Facts(TypedDict):
    """What the reader returns: the place that was read, and why it did not answer ("" when it did)."""

    place: str
    problem: str


def read(host: str) -> Facts:
    """Return «what». Raises CannotRead for «what cannot be read»."""
    return {"place": host, "problem": «why»}


THING_UPPER = Source("AREA.THING", read, ("host",))
''',
    "plugins/module_utils/_areas/AREA/texts.yml": """---
AREA.no_answer:
  title:
    en: "AREA at {{ subject }} does not answer"
    ko: "{{ subject }}의 AREA가 응답하지 않음"
  cause:
    en: "{{ evidence.problem }}."
    ko: "{{ evidence.problem }}."
  next:
    en: "«Run `...`; then ...»"
    ko: "«`...`을 실행하십시오»"
""",
    "tests/unit/areas/AREA/__init__.py": "",
    "tests/unit/areas/AREA/test_check_QUESTION.py": '''"""AREA.QUESTION: «what is concluded from what»."""

from __future__ import annotations

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.AREA import check_QUESTION
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked


def judged(**facts):
    """Return the findings for what the source read."""
    read = {"place": "192.0.2.1", "problem": "", **facts}
    return check_QUESTION.judge(Asked({"host": "192.0.2.1"}, now=0.0, outcomes={"AREA.THING": Outcome(read)}))


@pytest.mark.parametrize(("facts", "codes"), [({}, [""]), ({"problem": "connection refused"}, ["AREA.no_answer"])])
def test_codes(facts, codes):
    assert [finding.code for finding in judged(**facts)] == codes
''',
    "tests/faults/AREA/make.py": '''"""Breakages of AREA."""

from __future__ import annotations

from tests.replica.interface import Replica

from ..breakage import Breakage


def «stop»(replica: Replica) -> None:
    """«What it does.»"""


BREAKAGES = (Breakage("AREA.no_answer", "AREA", "«what is broken»", "«subject»", «stop», «start»),)
''',
    "tests/faults/AREA/expected.yml": """---
# What must be read for each fault; see pm2/expected.yml for the form.
AREA.no_answer:
  severity: P1
  remedies: []
  cause: ["«what the cause must say»"]
  next: ["«what the next step must say»"]
""",
}


def main(arguments: list[str]) -> int:
    """Write the files that are not there yet; returns the exit code."""
    if len(arguments) != 3 or not all(NAME.fullmatch(word) for word in arguments):
        print("usage: python tools/new_area.py AREA QUESTION THING     lower-case words, for example: redis ping server", file=sys.stderr)
        return 2
    area, question, thing = arguments
    words = {"AREA": area, "QUESTION": question, "THING_UPPER": thing.upper(), "THING": thing}
    if (HOUSE / "_areas" / area).exists():
        print(f"new_area: {area} exists; add a check to it as docs/development.md shows", file=sys.stderr)
        return 2
    for name, text in FILES.items():
        path = CHECKOUT / filled(name, words)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((LICENCE if text and path.suffix == ".py" else "") + filled(text, words), encoding="utf-8")
        print(f"wrote   {path.relative_to(CHECKOUT)}")
    register(area, question)
    print("next: write what is marked with «» (grep -rn '«' plugins/module_utils tests), then follow docs/development.md")
    return 0


def filled(text: str, words: dict[str, str]) -> str:
    """Return a template with the names filled in."""
    return re.sub("|".join(words), lambda match: words[match[0]], text)


def register(area: str, question: str) -> None:
    """Add the area to the table of areas and to the catalogue, and its check to the daily cadence."""
    change(
        HOUSE / "_areas/registry.py",
        "\n\nREGISTERED: ",
        f"\n\ndef _{area}() -> tuple[Check, ...]:\n    from .{area}.area import CHECKS\n\n    return CHECKS\n\n\nREGISTERED: ",
    )
    change(HOUSE / "_areas/registry.py", "}\n# All that", f'    "{area}": _{area},\n}}\n# All that')
    add_import(HOUSE / "_areas/catalogue.py", f"from .{area}.faults import FAULTS as {area.upper()}")
    change(HOUSE / "_areas/catalogue.py", "    **RUN,\n", f"    **{area.upper()},\n    **RUN,\n")
    change(CHECKOUT / "roles/daily_check/defaults/main.yml", "daily_check_extra: []", f"  - {area}.{question}\ndaily_check_extra: []")


def change(path: Path, before: str, after: str) -> None:
    """Replace a piece of a file that stands there once."""
    text = path.read_text(encoding="utf-8")
    if text.count(before) != 1:
        sys.exit(f"new_area: {path.relative_to(CHECKOUT)} has no single {before!r}; add the area there by hand")
    path.write_text(text.replace(before, after), encoding="utf-8")
    print(f"changed {path.relative_to(CHECKOUT)}")


def add_import(path: Path, line: str) -> None:
    """Add a relative import to a file whose relative imports stand in one block, one a line, in order."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    places = [number for number, one in enumerate(lines) if one.startswith("from .")]
    block = slice(places[0], places[-1] + 1)
    lines[block] = sorted([*lines[block], f"{line}\n"])
    path.write_text("".join(lines), encoding="utf-8")
    print(f"changed {path.relative_to(CHECKOUT)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
