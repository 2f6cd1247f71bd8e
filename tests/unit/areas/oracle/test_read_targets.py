# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each way a connection can end, made for real on the replica and asked with two releases of the driver."""

from __future__ import annotations

import datetime
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.catalogue import FAULTS

from . import helpers as h

PASSWORD = "made-for-tests-1"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = h.start_replica(tmp_path_factory.mktemp("oracle"))
    soon = (datetime.datetime.now() + datetime.timedelta(days=4.4)).isoformat(" ", "seconds")
    account = made.server.control.account
    for name, changes in {
        "LOCKED": {"status": "LOCKED"},
        "TIMED": {"status": "LOCKED(TIMED)"},
        "EXPIRED": {"status": "EXPIRED"},
        "GRACE": {"status": "EXPIRED(GRACE)", "expires_at": soon},
        "ENDING": {"expires_at": soon},
        "NORIGHT": {"rights": []},
        "OLD10G": {"verifier": "10g"},
        "OLD11G": {"verifier": "11g"},
        "MUCH": {"rights": ["CREATE SESSION", "CREATE TABLE", "DROP ANY TABLE"]},
    }.items():
        account(name, password=PASSWORD, **changes)
    yield made
    made.server.stop()


@pytest.fixture(scope="module", params=["newest", "older"])
def each(request):
    """What asks with one of the two releases."""
    made = h.Asker.start(h.older_driver() if request.param == "older" else "")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def asker():
    """What asks with the newest release."""
    made = h.Asker.start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def no_faults_left(place):
    yield
    place.server.control.clear_faults()


@dataclass
class Case:
    """What is set, what is asked, and what must be found."""

    name: str
    code: str
    driver: str = ""
    stage: str = "login"
    faults: tuple[tuple[str, dict], ...] = ()
    target: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def one(kind: str, **options: Any) -> tuple[tuple[str, dict], ...]:
    return ((kind, options),)


def silent(stage: str, at: str) -> Case:
    evidence = {"reason": "silent"}
    return Case(
        f"silent {stage}", "ORA-12170", "", at, one("stage", stage=stage, mode="silent"), evidence=evidence, options={"stage_timeout": 0.7}
    )


def ended(stage: str, mode: str, code: str, driver: str, at: str) -> Case:
    return Case(f"{mode} {stage}", code, driver, at, one("stage", stage=stage, mode=mode))


def refused(number: int) -> Case:
    return Case(f"refused {number}", "ORA-12518", "DPY-6000", "listener", one("refuse", code=number), evidence={"number": f"ORA-{number}"})


def login(number: int, code: str, reason: str) -> Case:
    return Case(f"login {number}", code, f"ORA-{number:05d}", "login", one("login_error", code=number), evidence={"reason": reason})


def account(user: str, code: str, driver: str = "", **evidence: Any) -> Case:
    return Case(f"account {user}", code, driver or code, target={"user": user, "password": PASSWORD}, evidence={"user": user, **evidence})


def alias(name: str, driver: str, reason: str, **target: Any) -> Case:
    return Case(f"alias {name}", "oracle.tns_alias", driver, "name", target={"dsn": name, **target}, evidence={"reason": reason})


CASES = [
    # The listener.
    Case("service", "ORA-12514", "DPY-6001", "listener", target={"service": "NOSUCH"}, evidence={"database": "NOSUCH"}),
    Case("sid", "ORA-12505", "DPY-6003", "listener", target={"sid": "NOSUCH"}),
    refused(12518), refused(12516), refused(12519), refused(12520), refused(12528),
    Case("no more sessions at the listener", "ORA-12518", "DPY-6000", "listener", one("max_sessions", limit=0, code=12520)),
    Case("nothing listens", "ORA-12541", "ECONNREFUSED", "tcp", one("listener", state="down")),
    Case("black hole", "ORA-12170", "TimeoutError", "tcp", one("listener", state="blackhole"), options={"stage_timeout": 0.7}),
    Case("unknown host", "oracle.name_unknown", "gaierror", "name", target={"host": "nosuch.invalid"}),
    Case("no host name", "oracle.name_unknown", "gaierror", "name", target={"host": "a" * 70 + ".example.com"}),
    silent("accept", "listener"), silent("connect", "listener"),
    silent("protocol", "login"), silent("datatypes", "login"), silent("auth1", "login"), silent("auth2", "login"),
    ended("accept", "close", "ORA-12537", "DPY-4011", "listener"), ended("accept", "reset", "ORA-12537", "DPY-4011", "listener"),
    ended("connect", "close", "ORA-12537", "DPY-4011", "listener"), ended("connect", "reset", "ORA-12537", "DPY-4011", "listener"),
    ended("protocol", "close", "ORA-03113", "DPY-4011", "login"), ended("datatypes", "close", "ORA-03113", "DPY-4011", "login"),
    ended("auth1", "close", "ORA-03113", "DPY-4011", "login"), ended("auth2", "reset", "ORA-03113", "DPY-4011", "login"),
    ended("execute", "close", "ORA-03113", "DPY-4011", "query"),
    # The account.
    Case("password", "ORA-01017", "ORA-01017", target={"password": "wrong"}, evidence={"user": "TANK_MON"}),
    Case("user", "ORA-01017", "ORA-01017", target={"user": "NOBODY", "password": "wrong"}),
    Case("no sysdba right", "ORA-01017", "ORA-01017", target={"mode": "sysdba"}, evidence={"mode": "sysdba"}),
    Case("sys", "ORA-28009", "ORA-28009", target={"user": "SYS"}),
    account("LOCKED", "ORA-28000"), account("TIMED", "ORA-28000"), account("EXPIRED", "ORA-28001"),
    account("NORIGHT", "oracle.no_privilege", "ORA-01045", reason="create_session"),
    account("OLD10G", "oracle.needs_thick", "DPY-3015", reason="verifier"),
    # The instance.
    Case("down", "ORA-01034", "ORA-01034", faults=one("instance", state="down")),
    Case("starting", "ORA-01033", "ORA-01033", faults=one("instance", state="starting")),
    login(1089, "ORA-01033", "stopping"), login(1109, "ORA-01033", "not_open"), login(1092, "ORA-01034", "down"),
    login(18, "ORA-12518", "sessions"), login(20, "ORA-12518", "processes"), login(2391, "ORA-12518", "profile"),
    login(28040, "oracle.needs_thick", "verifier"), login(28, "ORA-03113", "killed"),
    Case("old server", "oracle.needs_thick", "DPY-3010", "listener", one("old_protocol"), evidence={"reason": "old_server"}),
    Case("encryption", "oracle.needs_thick", "DPY-3001", "listener", one("encryption_required"), evidence={"reason": "encryption"}),
    # Aliases.
    alias("127.0.0.1:1521:ORCL", "DPY-4027", "no_folder"), alias("TANKDB", "DPY-4027", "no_folder"),
    alias("TANKDB", "DPY-4026", "no_file", config_dir="/nonexistent"), alias("(DESCRIPTION=", "DPY-2049", "malformed"),
    # The query.
    Case("no such table", "oracle.no_privilege", "ORA-00942", "query", target={"query": "SELECT * FROM CUST.NOSUCH"}, evidence={"reason": "object"}),
    Case("privilege", "oracle.no_privilege", "ORA-01031", "query", one("query_error", code=1031, match="dual"), evidence={"reason": "object"}),
    Case("ora-600", "ORA-03113", "DPY-4011", "query", one("query_error", code=600, match="dual"), evidence={"number": "ORA-00600"}),
    Case("bad query", "run.check_unknown", "ORA-00904", "query", target={"query": "SELECT NOSUCH FROM CUST.TARGET"}),
    Case("slow query", "oracle.slow", "", "query", one("slow_query", seconds=20, match="dual"), options={"stage_timeout": 0.7}),
    Case("slow query, the break ignored", "ORA-12170", "", "query", (*one("slow_query", seconds=20), *one("ignore_break")), options={"stage_timeout": 0.7}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_outcome(place, each, case):
    for kind, options in case.faults:
        place.server.control.set_fault(kind, **options)
    answer = each.ask(place.target(**case.target), **case.options)
    found = answer.about()
    evidence = found["evidence"]
    # A reset may be seen as one or as an end, and at once after the TCP handshake it is seen as part of it.
    was_reset = case.name.startswith("reset")
    assert found["code"] == case.code
    assert evidence["stage"] in ((case.stage, "tcp") if was_reset else (case.stage,))
    assert evidence.get("driver_code", "") in (("DPY-4011", "ECONNRESET") if was_reset else (case.driver,))
    assert {name: evidence.get(name) for name in case.evidence} == case.evidence
    assert answer.targets[0]["stage"] == evidence["stage"]
    text = str(answer.findings)
    assert PASSWORD not in text
    assert not any(password in text for password in place.server.passwords.values())
    assert "CONNECTION_ID" not in text
    by_privileges = answer.about(check="oracle.privileges")
    assert by_privileges["status"] == ("ok" if case.code == "oracle.slow" else "unknown")
    assert by_privileges["evidence"].get("blocked_by", "") == ("" if case.code == "oracle.slow" else case.code)


def test_the_releases_are_two(each):
    answer = each.ask({"name": "x", "host": "nosuch.invalid", "service": "x", "user": "x", "password": "x"})
    assert answer.driver in ("26.1.0", h.OLDER)
    assert answer.about("x")["evidence"]["driver"] == f"python-oracledb {answer.driver} (thin)"


def test_good_connections_of_all_kinds(place, each, tmp_path):
    ports = place.server.ports
    (tmp_path / "tnsnames.ora").write_text(
        f"TANKDB = (DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT={ports['port']}))(CONNECT_DATA=(SERVICE_NAME=ORCLPDB1)))\n"
        f"TWO = (DESCRIPTION=(ADDRESS_LIST=(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT=1))(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT={ports['port']})))"
        "(CONNECT_DATA=(SERVICE_NAME=ORCLPDB1)))\n"
    )
    wallet = str(place.server.folder / "wallet")
    answer = each.ask(
        place.target("service"),
        place.target("sid", sid="ORCL"),
        place.target("easy", dsn=f"127.0.0.1:{ports['port']}/ORCLPDB1"),
        place.target("alias", dsn="TANKDB", config_dir=str(tmp_path)),
        place.target("second address", dsn="TWO", config_dir=str(tmp_path)),
        place.target("tls", host="localhost", port=ports["tcps_port"], protocol="tcps", wallet_location=wallet),
        place.target("tls by dsn", dsn=f"tcps://localhost:{ports['tcps_port']}/ORCLPDB1", wallet_location=wallet),
        place.target("tls, other name", port=ports["tcps_port"], protocol="tcps", wallet_location=wallet, match_certificate=False),
        place.target("sysdba", user="SYS", mode="sysdba"),
        place.target("11g", user="OLD11G", password=PASSWORD),
        place.target("rows", query="SELECT CUST_ID FROM CUST.TARGET_VIEW"),
        stage_timeout=5.0,
    )
    assert set(answer.codes().values()) == {""}, answer.codes()
    assert {target["version"] for target in answer.targets} == {"19.21.0.0.0"}
    assert answer.about("alias")["evidence"]["place"] == f"127.0.0.1:{ports['port']}"
    assert answer.about("rows")["evidence"]["rows"] > 20
    assert [list(target["times"]) for target in answer.targets] == [["name", "tcp", "listener", "login", "query"]] * 11


def test_a_dead_address_leaves_time_for_the_next(place, each):
    with h.black_hole() as dead:
        addresses = "".join(f"(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT={port}))" for port in (dead, place.server.ports["port"]))
        dsn = f"(DESCRIPTION=(RETRY_COUNT=20)(ADDRESS_LIST={addresses})(CONNECT_DATA=(SERVICE_NAME=ORCLPDB1)))"
        answer = each.ask(place.target(dsn=dsn), place.target("dead", port=dead), stage_timeout=1.5)
    assert answer.codes() == {"db": "", "dead": "ORA-12170"}
    assert answer.about()["evidence"]["address"] == f"127.0.0.1:{place.server.ports['port']}"
    assert answer.about("dead")["evidence"]["stage"] == "tcp"


def test_a_redirect_is_followed(place, asker):
    place.server.control.set_fault("redirect", host="127.0.0.1", port=place.server.ports["port"], times=1)
    assert asker.ask(place.target()).codes() == {"db": ""}


def test_an_alias_that_the_file_does_not_have(place, each, tmp_path):
    (tmp_path / "tnsnames.ora").write_text("OTHER = (DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=h)(PORT=1))(CONNECT_DATA=(SID=x)))\n")
    found = each.ask(place.target(dsn="TANKDB", config_dir=str(tmp_path))).about()
    assert (found["code"], found["evidence"]["driver_code"], found["evidence"]["reason"]) == ("oracle.tns_alias", "DPY-4000", "unknown")


@pytest.mark.parametrize(
    ("target", "code", "reason"),
    [
        ({"port": "tcps_port"}, "ORA-12537", "stranger"),
        ({"port": "tcps_port", "protocol": "tcps", "host": "localhost"}, "ORA-12537", "certificate"),
        ({"port": "tcps_port", "protocol": "tcps", "wallet": True}, "ORA-12537", "certificate_name"),
        ({"port": "port", "protocol": "tcps", "host": "localhost"}, "ORA-12170", "silent"),
    ],
    ids=["plain to tls", "not trusted", "other name", "tls to plain"],
)
def test_tls_that_does_not_come_about(place, each, target, code, reason):
    options = {**target, "port": place.server.ports[target["port"]]}
    if options.pop("wallet", False):
        options["wallet_location"] = str(place.server.folder / "wallet")
    found = each.ask(place.target(**options), **({"stage_timeout": 0.7} if reason == "silent" else {})).about()
    assert (found["code"], found["evidence"]["reason"], found["evidence"]["stage"]) == (code, reason, "listener")


@pytest.mark.parametrize(
    ("words", "at_once", "peer"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", True, "ssh"),
        (b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n", False, "http"),
        (b"\x15\x03\x01\x00\x02\x02\x46", False, "tls"),
        (b"220 mail.example.com ESMTP\r\n", True, "other"),
        (b"\x00" * 40, False, "other"),
    ],
    ids=["ssh", "http", "tls", "smtp", "nonsense"],
)
def test_a_stranger_at_the_port(place, asker, words, at_once, peer):
    with h.stranger(words, at_once=at_once) as port:
        answer = asker.ask(place.target(port=port))
    found = answer.about()
    assert (found["code"], found["evidence"]["stage"], found["evidence"]["peer"]) == ("ORA-12537", "listener", peer)
    if peer == "ssh":
        assert found["evidence"]["banner"] == "SSH-2.0-OpenSSH_9.2p1 Debian-2"
    assert answer.seconds < 3


def test_a_port_where_nobody_ever_speaks(place, asker):
    with h.stranger(b"", at_once=True) as port:
        found = asker.ask(place.target(port=port), place.target("tls", port=port, protocol="tcps"), stage_timeout=0.4)
    assert found.codes() == {"db": "ORA-12170", "tls": "ORA-12170"}
    assert {name: found.about(name)["evidence"]["stage"] for name in ("db", "tls")} == {"db": "listener", "tls": "listener"}


def test_names_that_are_not_looked_up_in_time(place, asker):
    answer = asker.ask(place.target(), slow_names=30, stage_timeout=0.4)
    found = answer.about()
    assert (found["code"], found["evidence"]["reason"], found["evidence"]["stage"]) == ("oracle.name_unknown", "no_dns", "name")
    assert answer.seconds < 1.4


def test_a_password_that_ends(place, each):
    answer = each.ask(place.target("grace", user="GRACE", password=PASSWORD), place.target("ending", user="ENDING", password=PASSWORD))
    assert answer.codes() == {"grace": "ORA-28002", "ending": "ORA-28002"}
    grace, ending = answer.about("grace"), answer.about("ending")
    assert (grace["evidence"]["warned"], ending["evidence"]["warned"]) == (True, False)
    assert (grace["severity"], grace["evidence"]["days"], ending["evidence"]["days"]) == ("P3", 4, 4)
    assert each.ask(place.target(user="ENDING", password=PASSWORD), expiry_days=3).codes() == {"db": ""}


def test_slow_logins_and_queries(place, asker):
    place.server.control.set_fault("stage", stage="auth1", mode="slow", seconds=0.4)
    found = asker.ask(place.target(), slow_login=0.3, stage_timeout=3).about()
    assert (found["code"], found["evidence"]["what"], found["threshold"], found["unit"]) == ("oracle.slow", "login", 0.3, "s")
    assert 0.4 <= found["value"] < 2
    assert found["remedies"] == ["worker.reduce_parallel"]
    place.server.control.clear_faults()
    place.server.control.set_fault("slow_query", seconds=1.2, match="dual")
    found = asker.ask(place.target(), stage_timeout=5).about()
    assert (found["code"], found["evidence"]["what"], found["threshold"]) == ("oracle.slow", "query", 1.0)
    assert 1.2 <= found["value"] < 4


def test_sessions_near_their_limit(place, asker):
    place.server.control.set_fault("max_sessions", limit=1)
    found = asker.ask(place.target()).about()
    assert (found["code"], found["value"], found["unit"], found["severity"]) == ("oracle.pool_exhausted", 100.0, "%", "P2")
    assert {name: found["evidence"][name] for name in ("resource", "used", "limit")} == {"resource": "sessions", "used": 1, "limit": 1}
    assert asker.ask(place.target(), sessions_percent=101).codes() == {"db": ""}


def test_what_an_account_may_not_see_is_named_and_no_fault(place, asker):
    found = asker.ask(place.target(user="TANK")).about()
    assert (found["status"], found["evidence"]["not_asked"]) == (
        "ok",
        ["sessions and their limit (V$RESOURCE_LIMIT): this account may not see it (ORA-00942)"],
    )


def test_privileges(place, each):
    needed = ["SELECT CUST_ID FROM CUST.TARGET_VIEW WHERE CUST_ID = :1", "UPDATE CUST.TARGET SET SENT_YN = 'Y' WHERE CUST_ID = :1"]
    answer = each.ask(
        place.target("right", user="TANK", statements=needed),
        place.target("lacks", user="MUCH", password=PASSWORD, statements=needed),
        place.target("owner", user="CUST"),
    )
    assert answer.about("right", "oracle.privileges")["status"] == "ok"
    lacks = [finding for finding in answer.findings if (finding["subject"], finding["check"]) == ("lacks", "oracle.privileges")]
    assert [finding["code"] for finding in lacks] == ["oracle.no_privilege", "oracle.too_much_privilege"]
    assert [one["statement"] for one in lacks[0]["evidence"]["lacking"]] == needed
    assert lacks[1]["evidence"]["rights"] == ["CREATE TABLE", "DROP ANY TABLE"]
    assert answer.about("owner", "oracle.privileges")["code"] == "oracle.too_much_privilege"
    assert "SELECT and UPDATE: none of" in answer.about("owner", "oracle.privileges")["evidence"]["not_asked"][-1]
    assert "none of" not in str(answer.about("right", "oracle.privileges")["evidence"].get("not_asked"))
    allowed = each.ask(place.target(user="CUST"), allowed=["create table"])
    assert allowed.codes("oracle.privileges") == {"db": ""}


def test_an_update_is_parsed_and_never_run(place, asker):
    with place.server.connect() as connection:
        count = "SELECT COUNT(*) FROM CUST.TARGET WHERE SENT_YN = 'Q'"
        asker.ask(place.target(user="TANK", statements=["UPDATE CUST.TARGET SET SENT_YN = 'Q'"]))
        assert connection.cursor().execute(count).fetchone() == (0,)


def test_a_session_killed_in_its_query(place, each):
    control = place.server.control
    control.set_fault("slow_query", seconds=20, match="dual")

    def kill_once_the_query_runs():
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up and not any(fault["hits"] for fault in control.status()["faults"]):
            time.sleep(0.02)
        control.kill(user="TANK_MON")

    killer = threading.Thread(target=kill_once_the_query_runs)
    killer.start()
    found = each.ask(place.target(), stage_timeout=4).about()
    killer.join()
    assert (found["code"], found["evidence"]["reason"], found["evidence"]["stage"]) == ("ORA-03113", "killed", "query")


def test_thick_mode_without_instant_client(place, asker, tmp_path):
    answer = asker.ask(place.target(), place.target("other"), lib_dir=str(tmp_path))
    assert set(answer.codes().values()) == {"oracle.instant_client_missing"}
    evidence = answer.about()["evidence"]
    assert (evidence["driver_code"], evidence["client"]["lib_dir"], evidence["client"]["holds_library"]) == (
        "DPI-1047",
        str(tmp_path),
        False,
    )
    assert evidence["driver"].endswith("(thick)")


def test_instant_client_is_looked_for_where_thick_mode_is_needed(place, asker):
    place.server.control.set_fault("old_protocol")
    client = asker.ask(place.target()).about()["evidence"]["client"]
    assert set(client) == {"folders", "ld_library_path", "known_to_the_loader", "libaio"}


def test_every_row_of_the_table_was_made():
    """The codes of the cases and tests above are all that the area has."""
    made = set(re.findall(r"ORA-\d{5}|oracle\.[a-z_]+", Path(__file__).read_text(encoding="utf-8")))
    assert {code for code, fault in FAULTS.items() if fault.area == "oracle"} <= made
    assert len(CASES) >= 40
