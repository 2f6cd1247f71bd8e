"""Makes `ansible_collections.ops.remediation` importable, through the link that `make setup` makes."""

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / ".cache" / "collections"))
