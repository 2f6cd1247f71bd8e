"""Check mode asks too, by calls that read, and keeps nothing."""

from __future__ import annotations

import os
from pathlib import Path

from calls import called, changing

HOME = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


def test_it_asked_and_changed_nothing():
    assert any(action.startswith("ses") for action in called())
    assert changing() == []


def test_nothing_was_kept():
    assert not (HOME / "ses").exists()


def test_the_stand_in_leaves_its_notes_with_the_scenario():
    assert list((HOME / "async").iterdir()) != []
