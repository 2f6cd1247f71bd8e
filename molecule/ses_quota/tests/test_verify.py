"""What the stand-in saw: only calls that read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(CHECKOUT))

from tests.replica.oracle.client import Control  # noqa: E402 - found through the line above


def test_nothing_was_called_that_changes_or_sends():
    called = Control(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "aws").do("status")["calls"]
    assert called
    assert [action for action in called if not action.partition(":")[2].startswith(("Get", "List", "Simulate"))] == []
