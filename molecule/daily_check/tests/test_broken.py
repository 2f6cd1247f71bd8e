"""Three faults on two hosts: each is found as a root, what follows is folded under it, and the run fails."""

from __future__ import annotations

from conftest import daily_check


def test_the_faults_are_the_roots(tmp_path):
    code, record = daily_check(tmp_path)
    roots = {
        (finding["host"], finding["code"]) for finding in record["findings"] if finding["status"] != "ok" and not finding["follows_from"]
    }
    assert roots == {("tank-app", "pm2.stopped"), ("tank-web", "nginx.stopped"), ("tank-app", "host.outbound_blocked")}
    assert code != 0
