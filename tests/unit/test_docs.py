"""The generated documents are current."""

import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def test_docs_are_current():
    done = subprocess.run([sys.executable, "tools/make_docs.py", "--check"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


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
