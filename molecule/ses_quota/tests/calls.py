"""What the stand-in for AWS was asked."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(CHECKOUT))

from tests.replica.oracle.client import Control  # noqa: E402 - found through the line above


def called():
    """Return the actions that were called, such as `ses:GetSendQuota`."""
    return Control(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "aws").do("status")["calls"]


def changing():
    """Return those of them that change something or send."""
    return [action for action in called() if not action.partition(":")[2].startswith(("Get", "List", "Simulate"))]
