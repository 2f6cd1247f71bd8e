# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folding by cause, and the order everywhere."""

from __future__ import annotations

import itertools

from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS
from ansible_collections.ops.remediation.plugins.module_utils._core.faults import Fault, Follows
from ansible_collections.ops.remediation.plugins.module_utils._core.finding import ok, reporter, unknown
from ansible_collections.ops.remediation.plugins.plugin_utils.record.folding import fold
from hypothesis import given
from hypothesis import strategies as st


def fault(code, check, subject="", **fields):
    """Report a fault of the catalogue as it is now: some tests change it."""
    return reporter(FAULTS)(code, check, subject, **fields)


def on(host, finding, site="seoul"):
    return {"host": host, "site": site, **finding.as_dict()}


def names(folded):
    return [(finding["host"], finding["code"], finding["follows_from"]) for finding in folded]


def test_an_unknown_follows_from_what_kept_it_from_being_asked():
    down = on("app1", fault("pm2.daemon_down", "pm2.daemon"))
    blocked = on("app1", unknown("pm2.processes", "no daemon", blocked_by="pm2.daemon_down"))
    assert names(fold([blocked, down])) == [
        ("app1", "pm2.daemon_down", ""),
        ("app1", "run.check_unknown", "app1|pm2.daemon||pm2.daemon_down"),
    ]


def test_of_several_causes_that_are_as_bad_the_nearest_counts():
    far = on("app1", unknown("attachments.present", "may not be read"))
    other = on("app1", unknown("oracle.connect", "another password", subject="monitor"))
    near = on("app1", unknown("oracle.connect", "the password may not be read", subject="customers"))
    blocked = on("app1", unknown("oracle.privileges", "no connection", subject="customers", blocked_by="run.check_unknown"))
    follows = {(finding["check"], finding["subject"]): finding["follows_from"] for finding in fold([far, other, near, blocked])}
    assert follows["oracle.privileges", "customers"] == "app1|oracle.connect|customers|run.check_unknown"


def test_another_host_blocks_nothing_here():
    down = on("app2", fault("pm2.daemon_down", "pm2.daemon"))
    blocked = on("app1", unknown("pm2.processes", "no daemon", blocked_by="pm2.daemon_down"))
    assert all(finding["follows_from"] == "" for finding in fold([blocked, down]))


def test_the_same_subject_is_needed_where_the_catalogue_says_so():
    missing = on("app1", fault("pm2.missing", "pm2.processes", "worker"))
    of_worker = on("app1", fault("pm2.dump_differs", "pm2.saved", "worker"))
    of_backend = on("app1", fault("pm2.dump_differs", "pm2.saved", "backend"))
    folded = {(finding["code"], finding["subject"]): finding["follows_from"] for finding in fold([of_backend, of_worker, missing])}
    # dump_differs is milder than missing, so missing may explain it.
    assert folded == {
        ("pm2.missing", "worker"): "",
        ("pm2.dump_differs", "worker"): "app1|pm2.processes|worker|pm2.missing",
        ("pm2.dump_differs", "backend"): "",
    }


def test_a_place_is_the_same_by_name_and_by_address():
    def blocked(host, address):
        evidence = {"host": host, "port": 5432, "address": address}
        return on("app1", fault("host.outbound_blocked", "host.outbound", f"{host}:5432", evidence=evidence))

    down = on("app1", fault("logsdb.unreachable", "logsdb.reach", "192.0.2.13:5432"))
    folded = {
        finding["subject"]: finding["follows_from"]
        for finding in fold([blocked("logsdb", "192.0.2.13"), blocked("nas", "192.0.2.14"), down])
    }
    assert folded == {"192.0.2.13:5432": "", "logsdb:5432": "app1|logsdb.reach|192.0.2.13:5432|logsdb.unreachable", "nas:5432": ""}


def test_across_hosts_of_one_site_only(monkeypatch):
    monkeypatch.setitem(FAULTS, "web.bad_gateway", Fault("web.bad_gateway", "P1", "M1-8", follows=(Follows("pm2.*"),), area="web"))
    gateway = fault("web.bad_gateway", "web.page")
    stopped = fault("pm2.stopped", "pm2.processes", "backend")
    here = fold([on("web1", gateway), on("app1", stopped)])
    assert [finding["follows_from"] for finding in here] == ["", "app1|pm2.processes|backend|pm2.stopped"]
    elsewhere = fold([on("web1", gateway), on("app9", stopped, site="busan")])
    assert [finding["follows_from"] for finding in elsewhere] == ["", ""]


def test_a_milder_finding_explains_no_graver_one(monkeypatch):
    monkeypatch.setitem(FAULTS, "backend.no_answer", Fault("backend.no_answer", "P1", "M1-3", follows=(Follows("pm2.*"),), area="backend"))
    silent = on("app1", fault("backend.no_answer", "backend.health"))
    readable = on("app1", fault("pm2.dump_readable", "pm2.saved", "dump.pm2"))
    assert [finding["follows_from"] for finding in fold([silent, readable])] == ["", ""]


def test_a_chain_leads_to_its_root(monkeypatch):
    for code, above in (("web.a", ()), ("web.b", (Follows("web.a"),)), ("web.c", (Follows("web.b"),))):
        monkeypatch.setitem(FAULTS, code, Fault(code, "P1", "+", follows=above, area="web"))
    findings = [on("w", fault(code, "web.page")) for code in ("web.c", "web.b", "web.a")]
    assert names(fold(findings)) == [("w", "web.a", ""), ("w", "web.b", "w|web.page||web.a"), ("w", "web.c", "w|web.page||web.a")]


def test_a_circle_keeps_exactly_one_root(monkeypatch):
    for code, above in (("web.a", "web.c"), ("web.b", "web.a"), ("web.c", "web.b")):
        monkeypatch.setitem(FAULTS, code, Fault(code, "P1", "+", follows=(Follows(above),), area="web"))
    for order in itertools.permutations(("web.a", "web.b", "web.c")):
        folded = fold([on("w", fault(code, "web.page")) for code in order])
        assert [finding["code"] for finding in folded if not finding["follows_from"]] == ["web.a"]


def test_order_is_roots_then_status_severity_code():
    findings = [
        on("b", ok("pm2.daemon")),
        on("a", fault("pm2.not_saved", "pm2.saved")),
        on("a", unknown("pm2.user", "denied")),
        on("a", fault("pm2.stopped", "pm2.processes", "worker")),
        on("a", fault("pm2.daemon_down", "pm2.daemon")),
        on("a", fault("pm2.errored", "pm2.processes", "backend")),
        on("a", unknown("pm2.startup", "x", blocked_by="pm2.daemon_down")),
    ]
    expected = ["pm2.daemon_down", "pm2.errored", "pm2.stopped", "run.check_unknown", "pm2.not_saved", "", "run.check_unknown"]
    for order in (findings, findings[::-1]):
        assert [finding["code"] for finding in fold(order)] == expected


CODES = sorted(FAULTS)


@given(
    st.lists(
        st.tuples(st.sampled_from(["app1", "app2"]), st.sampled_from(CODES), st.sampled_from(["", "worker"])), unique=True, max_size=12
    )
)
def test_whatever_is_found_nothing_is_lost_and_every_parent_is_a_root(drawn):
    findings = [on(host, fault(code, "pm2.daemon", subject)) for host, code, subject in drawn]
    folded = fold(findings)
    assert len(folded) == len(findings)
    by_id = {finding["id"]: finding for finding in folded}
    assert all(by_id[finding["follows_from"]]["follows_from"] == "" for finding in folded if finding["follows_from"])
    assert not findings or any(not finding["follows_from"] for finding in folded)
