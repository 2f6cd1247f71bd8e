# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault catalogue as the controller sees it: the technical half from module_utils, texts in two languages from YAML."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS
from jinja2 import ChainableUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

LANGUAGES = ("en", "ko")
PARTS = ("title", "cause", "next")
_SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DIRECTORY = Path(__file__).parents[2] / "module_utils" / "_areas"

_ENVIRONMENT = SandboxedEnvironment(undefined=ChainableUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)


@functools.cache
def texts(area: str) -> dict[str, Any]:
    """Return {code: {title|cause|next: {en, ko}}} of the file of an area; {} where an area has none."""
    path = DIRECTORY / area / "texts.yml"
    if not path.exists():
        return {}
    return load_yaml(path) or {}


def load_yaml(path: Path) -> Any:
    """Return what a YAML file of this collection holds, read by the fast loader where there is one."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_SAFE_LOADER)  # noqa: S506 - a safe loader


def render(finding: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return {language: {title, cause, next}} for a finding that is not ok.

    A code that this controller does not know (a newer host) is shown as itself rather than lost.
    """
    code = finding["code"]
    entry = FAULTS.get(code)
    words = texts(entry.area).get(code) if entry else None
    if not words:
        return {language: {"title": code, "cause": "", "next": ""} for language in LANGUAGES}
    try:
        return {language: {part: _fill(words[part][language], finding) for part in PARTS} for language in LANGUAGES}
    except (TypeError, ValueError, ArithmeticError, LookupError, TemplateError):
        # Evidence of another shape (another version, a hostile host) must not cost the report.
        return {language: {"title": code, "cause": "", "next": ""} for language in LANGUAGES}


def _fill(template: str, finding: Mapping[str, Any]) -> str:
    # One pass: what stands in the evidence is data and is never read as a template.
    names = ("host", "check", "subject", "value", "threshold", "unit", "evidence", "asked_from", "severity")
    filled = _compiled(template).render({name: finding.get(name, "") for name in names})
    return " ".join(filled.split())


@functools.lru_cache(maxsize=512)
def _compiled(template: str) -> Any:
    return _ENVIRONMENT.from_string(template)
