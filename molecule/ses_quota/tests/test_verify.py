"""What the stand-in saw: only calls that read."""

from __future__ import annotations

from calls import called, changing


def test_nothing_was_called_that_changes_or_sends():
    assert called()
    assert changing() == []
