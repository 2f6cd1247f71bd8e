"""The generated documents are current."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def test_docs_are_current():
    done = subprocess.run([sys.executable, "tools/make_docs.py", "--check"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
