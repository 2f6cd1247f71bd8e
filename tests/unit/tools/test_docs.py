"""The generated documents are current."""

import re
import subprocess
import sys
from pathlib import Path

import yaml
from ansible_collections.ops.remediation.plugins.action import run_guard
from ansible_collections.ops.remediation.plugins.modules import run_guard as run_guard_module

CHECKOUT = Path(__file__).resolve().parents[3]


def test_docs_are_current():
    done = subprocess.run([sys.executable, "tools/make_docs.py", "--check"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_guard_of_a_run_returns_is_documented():
    described = set(yaml.safe_load(run_guard_module.RETURN))
    assert {"remediation_run", "remediation_remarks", "check_mode", *run_guard._no_hosts("nosuchgroup")} - {"failed", "msg"} == described


def test_each_row_of_a_table_has_the_cells_of_its_head():
    """A bar in a cell, also inside of code, would begin another one in GitHub's Markdown."""
    wrong = []
    for path in (CHECKOUT / "README.md", *CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("roles/*/README.md")):
        width = 0
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            bars = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("| ") else 0
            if width and bars and bars != width:
                wrong.append(f"{path.name}:{number}")
            width = bars
    assert wrong == []
