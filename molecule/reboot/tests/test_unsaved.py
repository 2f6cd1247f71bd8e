"""Before the reboot the check says what a reboot would lose."""

from __future__ import annotations

from conftest import daily_check, not_well


def test_the_unsaved_list_is_found(tmp_path):
    _code, record = daily_check(tmp_path)
    assert not_well(record) == [("tank-app", "pm2.not_saved")]
