"""Makes `ansible_collections.ops.remediation` importable, through the link that `make setup` makes."""

import sys
from pathlib import Path

from hypothesis import settings

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / ".cache" / "collections"))

# An example may take its time: how long it does depends on what else the machine does.
settings.register_profile("without_a_clock", deadline=None)
settings.load_profile("without_a_clock")
