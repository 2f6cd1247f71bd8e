"""node-oracledb in thin mode against the server. Needs node and the replica's npm packages (or ORACLE_NODE_MODULES)."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path

import pytest

from ...cache import cache_for_sources
from ...paths import base_folder
from ...system import ReplicaError
from ...toolchain import find_node

SCRIPT = Path(__file__).with_name("node_client.cjs")
ANSWER_SECONDS = 10


class NodeError(Exception):
    """An error of node-oracledb, by its code."""

    def __init__(self, answer):
        self.code = answer.get("code")
        self.offset = answer.get("offset")
        self.message = answer.get("message", "")
        super().__init__(self.code, self.message)


class NodeClient:
    """A node process with one connection."""

    def __init__(self, node, package, server):
        self.server = server
        argv = [str(node), str(SCRIPT), str(package)]
        environment = {**os.environ, "TZ": "Asia/Seoul", "NODE_EXTRA_CA_CERTS": str(server.folder / "wallet" / "ewallet.pem")}
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def do(self, operation, **request):
        self.send(operation, **request)
        return self.receive()

    def send(self, operation, **request):
        self.process.stdin.write(json.dumps({"do": operation, **request}) + "\n")
        self.process.stdin.flush()

    def receive(self, seconds=ANSWER_SECONDS):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise AssertionError("node gives no answer")
        answer = json.loads(line)
        if not answer["ok"]:
            raise NodeError(answer)
        return answer.get("answer")

    def connect(self, user="TANK", password=None, target="/ORCLPDB1", **options):
        return self.do("connect", options=self.options(user, password, target, **options))

    def options(self, user="TANK", password=None, target="/ORCLPDB1", **options):
        host = f"127.0.0.1:{self.server.ports['port']}"
        known = password or self.server.passwords[user]
        return {"user": user, "password": known, "connectString": f"{host}{target}", **options}

    def rows(self, sql, *binds):
        return self.do("execute", sql=sql, binds=list(binds))["rows"]

    def stop(self):
        self.process.kill()
        self.process.wait(5)
        self.process.stdin.close()
        self.process.stdout.close()


def package_folder():
    chosen = os.environ.get("ORACLE_NODE_MODULES")
    modules = Path(chosen) if chosen else cache_for_sources(base_folder() / "cache").modules
    return modules / "oracledb"


@pytest.fixture(scope="module")
def start(server):
    """Starts a node client; all are stopped at the end."""
    package = package_folder()
    if not package.exists():
        pytest.skip("node-oracledb is not installed: `tests/replica/replica up` installs the replica's npm packages")
    try:
        node = find_node().executable
    except ReplicaError as error:
        pytest.skip(str(error))
    started = []

    def make():
        started.append(NodeClient(node, package, server))
        return started[-1]

    yield make
    for client in started:
        client.stop()


@pytest.fixture(scope="module")
def shared(start):
    """A connected client for tests that leave it as it was."""
    client = start()
    client.connect()
    return client


@pytest.fixture(scope="module")
def bare(start):
    """A client for tests that (try to) connect."""
    return start()


def refused(client, **options):
    with pytest.raises(NodeError) as raised:
        client.connect(**options)
    return raised.value.code


def test_connects_by_service_sid_and_verifier(server, bare):
    assert bare.connect()["version"].startswith("19.")
    sid = f"(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=127.0.0.1)(PORT={server.ports['port']}))(CONNECT_DATA=(SID=ORCL)))"
    bare.do("connect", options={**bare.options(), "connectString": sid})
    assert bare.rows("SELECT USER FROM DUAL") == [["TANK"]]
    bare.do("close")
    server.control.account("NODE11G", password="tiger", verifier="11g")
    bare.connect("NODE11G", "tiger")
    bare.do("ping")
    bare.do("close")


def test_tls(server, bare):
    target = f"tcps://localhost:{server.ports['tcps_port']}/ORCLPDB1"
    bare.do("connect", options={**bare.options(), "connectString": target})
    assert bare.rows("SELECT 1 FROM DUAL") == [[1]]
    bare.do("close")


def test_queries_binds_and_values(shared):
    row = shared.rows(
        "SELECT :1, :2, :3, :4, DATE '2026-03-04', TIMESTAMP '2026-03-04 05:06:07.089' FROM DUAL",
        "text 한글", -12.5, None, {"date": "2026-03-04T00:00:00.123Z"},
    )[0]  # fmt: skip
    moments = ["2026-03-04T00:00:00.123Z", "2026-03-03T15:00:00.000Z", "2026-03-03T20:06:07.089Z"]
    assert row == ["text 한글", -12.5, None, *moments]
    answer = shared.do("execute", sql="SELECT CUST_ID, AUTO_ID FROM TARGET WHERE CUST_ID = :id", binds=["GID_20003001"])
    assert (answer["names"], answer["rows"]) == (["CUST_ID", "AUTO_ID"], [["GID_20003001", 3]])


def test_a_date_that_is_bound_is_the_sessions_time(shared):
    sql = "UPDATE TARGET SET NEXT_DUE_AT = :1, SENT_AT = :2 WHERE CUST_ID = 'GID_20003002'"
    shared.do("execute", sql=sql, binds=[{"date": "2026-03-04T00:00:00Z"}, {"date": "2026-03-04T00:00:00.5Z"}])
    texts = "SELECT TO_CHAR(NEXT_DUE_AT, 'YYYY-MM-DD HH24:MI:SS'), TO_CHAR(SENT_AT, 'HH24:MI:SS.FF3') FROM TARGET WHERE CUST_ID = 'GID_20003002'"
    assert shared.rows(texts) == [["2026-03-04 09:00:00", "09:00:00.500"]]
    shared.do("rollback")


@pytest.mark.parametrize(("fetch", "prefetch"), [(100, 2), (7, 0), (580, 580), (1, 100)])
def test_fetches_in_several_round_trips(shared, fetch, prefetch):
    assert shared.do("fetchAll", sql="SELECT * FROM CUSTOMER", fetchArraySize=fetch, prefetchRows=prefetch) == 580


def test_changes_commit_and_roll_back(shared):
    sql, question = "UPDATE TARGET SET SENT_YN = :1 WHERE CUST_ID = :2", "SELECT SENT_YN FROM TARGET WHERE CUST_ID = 'GID_20005000'"
    rows = [["Y", "GID_20005000"], ["Y", "GID_20005001"], ["Y", "NOBODY"]]
    assert shared.do("executeMany", sql=sql, rows=rows)["rowsAffected"] == 2
    shared.do("rollback")
    assert shared.rows(question) == [["N"]]
    shared.do("execute", sql=sql, binds=["Y", "GID_20005000"])
    shared.do("commit")
    shared.do("rollback")
    assert shared.rows(question) == [["Y"]]
    shared.do("execute", sql=sql, binds=["N", "GID_20005000"], options={"autoCommit": True})


def test_array_errors(server, bare):
    bare.connect("CUST")
    bare.do("execute", sql="CREATE TABLE T_NODE (ID NUMBER PRIMARY KEY)")
    done = bare.do("executeMany", sql="INSERT INTO T_NODE VALUES (:1)", rows=[[1], [1], [2]], options={"batchErrors": True})
    assert (done["rowsAffected"], done["failures"]) == (2, [[1, "ORA-00001"]])
    bare.do("execute", sql="DROP TABLE T_NODE")
    bare.do("close")


@pytest.mark.parametrize(
    ("sql", "code", "offset"),
    [("SELECT * FROM NOSUCH", "ORA-00942", 14), ("SELECT NOSUCH FROM TARGET", "ORA-00904", 7), ("SELECT TO_NUMBER('x') FROM DUAL", "ORA-01722", 0)],
)  # fmt: skip
def test_errors_have_their_codes_and_the_session_goes_on(shared, sql, code, offset):
    with pytest.raises(NodeError) as raised:
        shared.rows(sql)
    assert (raised.value.code, raised.value.offset) == (code, offset)
    assert shared.rows("SELECT 1 FROM DUAL") == [[1]]


def test_a_call_timeout_leaves_the_session_usable(server, shared):
    shared.do("timeout", milliseconds=250)
    with server.fault("slow_query", seconds=20, match="customer"):
        with pytest.raises(NodeError) as raised:
            shared.rows("SELECT * FROM CUSTOMER")
        assert raised.value.code == "NJS-123"
    shared.do("timeout", milliseconds=0)
    assert shared.rows("SELECT 1 FROM DUAL") == [[1]]


def test_a_break(shared):
    shared.do("breakAfter", milliseconds=200)
    with pytest.raises(NodeError) as raised:
        shared.do("execute", sql="BEGIN DBMS_SESSION.SLEEP(20); END;")
    assert raised.value.code == "ORA-01013"
    shared.do("ping")


@pytest.mark.parametrize(
    ("kind", "options", "code"),
    [
        ("refuse", {"code": 12514}, "NJS-518"), ("refuse", {"code": 12505}, "NJS-519"), ("refuse", {"code": 12518}, "NJS-511"),
        ("encryption_required", {}, "NJS-533"), ("instance", {"state": "down"}, "ORA-01034"), ("instance", {"state": "starting"}, "ORA-01033"),
        ("login_error", {"code": 28000}, "ORA-28000"), ("max_sessions", {"limit": 0}, "ORA-00018"), ("listener", {"state": "down"}, "NJS-503"),
        ("old_protocol", {}, "NJS-138"), ("stage", {"stage": "accept", "mode": "close"}, "NJS-500"),
        ("stage", {"stage": "connect", "mode": "close"}, "NJS-500"), ("stage", {"stage": "auth1", "mode": "close"}, "NJS-500"),
        ("stage", {"stage": "auth2", "mode": "reset"}, "NJS-500"),
    ],
)  # fmt: skip
def test_logins_are_refused(server, bare, kind, options, code):
    with server.fault(kind, **options):
        assert refused(bare) == code
    bare.connect()
    bare.do("close")


def test_a_silent_server_is_given_up_after_the_connect_timeout(server, bare):
    with server.fault("stage", stage="connect", mode="silent"):
        started = time.monotonic()
        assert refused(bare, connectTimeout=1) == "NJS-510"
        assert time.monotonic() - started < 4


def test_redirect_and_wrong_password(server, bare):
    with server.fault("redirect", host="127.0.0.1", port=server.ports["port"], times=1):
        bare.connect()
    bare.do("close")
    assert refused(bare, password="wrong") == "ORA-01017"
    assert server.control.logins(user="TANK")[-1]["outcome"] == "ORA-01017"
    server.control.account("TANK", status="OPEN")


def test_a_killed_session(server, start):
    server.control.account("NODEKILLED", password="victim")
    client = start()
    client.connect("NODEKILLED", "victim")
    assert server.control.kill(user="NODEKILLED", immediate=True) == 1
    with pytest.raises(NodeError) as raised:
        client.rows("SELECT 1 FROM DUAL")
    assert raised.value.code == "NJS-500"


def test_a_warning_before_the_password_expires(server, bare):
    until = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 9 * 3600 + 2.5 * 86400))
    server.control.account("NODEGRACE", password="soon", status="EXPIRED(GRACE)", expires_at=until)
    assert "ORA-28002" in bare.connect("NODEGRACE", "soon")["warning"]
    bare.do("close")


def test_session_attributes_go_with_a_call(shared):
    shared.do("attributes", module="mailer", ecid="e1", action="send", clientId="7", clientInfo="daily", dbOp="run", currentSchema="CUST")
    assert shared.rows("SELECT SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA'), COUNT(*) FROM CUSTOMER") == [["CUST", 580]]


def test_a_result_set_that_is_closed_early_can_be_queried_again(shared):
    for _ in range(3):
        answer = shared.do("execute", sql="SELECT * FROM CUSTOMER", options={"maxRows": 5})
        assert len(answer["rows"]) == 5
