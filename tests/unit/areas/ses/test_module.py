# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ses_quota through its main(), against the replica's AWS."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ops.remediation.plugins.modules import ses_quota

from . import helpers as h


def run_main(capsys, **options):
    with patch_module_args(options), pytest.raises(SystemExit) as ended:
        ses_quota.main()
    return ended.value.code, json.loads(capsys.readouterr().out)


def test_main_returns_quota_rates_forecast_and_identities(aws, tmp_path, capsys):
    code, answer = run_main(capsys, **h.options(aws, tmp_path, identities=["example.com"]), state_dir=str(tmp_path / "state"))
    assert code == 0
    assert answer["changed"] is False
    assert {finding["status"] for finding in answer["findings"]} == {"ok"}
    assert answer["quota"]["limit"] == 50000
    assert answer["quota"]["parallel"] == 20
    assert set(answer["rates"]) == {"1d", "7d", "14d"}
    assert "pace" in answer["forecast"]
    assert answer["identities"] == [{"name": "example.com", "status": "ok", "codes": [], "dmarc": "quarantine"}]
    assert not (tmp_path / "state").exists()


def test_main_goes_through_the_proxy_of_its_environment(aws, tmp_path, capsys, monkeypatch):
    """The stand-in is the proxy; without it, the name does not resolve."""
    monkeypatch.setenv("HTTP_PROXY", aws.url)
    monkeypatch.setenv("NO_PROXY", "")
    given = h.options(aws, tmp_path, endpoint_urls=dict.fromkeys(h.SERVICES, "http://ses.example.invalid"), smtp_endpoint="-")
    _code, answer = run_main(capsys, **given, state_dir=str(tmp_path / "state"))
    assert {finding["status"] for finding in answer["findings"]} == {"ok"}


def test_main_fails_for_a_question_wrongly_put_and_says_which(aws, tmp_path, capsys):
    code, answer = run_main(capsys, **h.options(aws, tmp_path, resolver=["nowhere"]), state_dir=str(tmp_path / "state"))
    assert code == 1
    assert answer["msg"].startswith("resolver: 'nowhere' is not an address")


def test_main_ends_in_time_when_aws_is_silent(aws, tmp_path, capsys):
    import time

    aws.do("fault.set", {"kind": "hang", "seconds": 4})
    try:
        started = time.monotonic()
        code, answer = run_main(capsys, **h.options(aws, tmp_path), timeout=2, state_dir=str(tmp_path / "state"))
        assert time.monotonic() - started < 4
    finally:
        aws.restore()
    assert code == 0
    assert "ses.unreachable" in {finding["code"] for finding in answer["findings"]}
    assert answer["quota"] == {}
