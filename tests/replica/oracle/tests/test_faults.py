"""Each fault as python-oracledb in thin mode sees it, and the log of logins that proves who tried how often."""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from ..control import ControlError
from .conftest import CHECKOUT, eventually

oracledb = pytest.importorskip("oracledb")


def code_of(error):
    """Code of an error; that of its cause when the client only says that it could not connect."""
    if error.args and getattr(error.args[0], "full_code", "") == "DPY-6005":
        error = error.__cause__
    return getattr(error.args[0], "full_code", "") or type(error).__name__


def refused(server, **options):
    """Code with which a connection fails."""
    with pytest.raises((oracledb.Error, OSError)) as raised:
        server.connect(**options)
    return code_of(raised.value)


@pytest.mark.parametrize(
    ("kind", "options", "code"),
    [
        ("refuse", {"code": 12514}, "DPY-6001"), ("refuse", {"code": 12505}, "DPY-6003"), ("refuse", {"code": 12518}, "DPY-6000"),
        ("refuse", {"code": 12516}, "DPY-6000"), ("old_protocol", {}, "DPY-3010"), ("encryption_required", {}, "DPY-3001"),
        ("instance", {"state": "down"}, "ORA-01034"), ("instance", {"state": "starting"}, "ORA-01033"),
        ("login_error", {"code": 1017}, "ORA-01017"), ("login_error", {"code": 28000}, "ORA-28000"), ("login_error", {"code": 2391}, "ORA-02391"),
        ("max_sessions", {"limit": 0}, "ORA-00018"), ("max_sessions", {"limit": 0, "code": 12520}, "DPY-6000"),
        ("listener", {"state": "down"}, "ConnectionRefusedError"), ("listener", {"state": "blackhole"}, "TimeoutError"),
    ],
)  # fmt: skip
def test_logins_are_refused(server, kind, options, code):
    with server.fault(kind, **options):
        assert refused(server, tcp_connect_timeout=0.7) == code
    server.connect().close()


@pytest.mark.parametrize(("target", "code"), [({"service_name": "NOSUCH"}, "DPY-6001"), ({"sid": "NOSUCH"}, "DPY-6003")])
def test_services_and_sids_that_are_not_there(server, target, code):
    assert refused(server, **target) == code
    assert server.control.logins()[-1]["outcome"] in ("ORA-12514", "ORA-12505")


@pytest.mark.parametrize("stage", ["accept", "connect", "protocol", "datatypes", "auth1", "auth2"])
@pytest.mark.parametrize("mode", ["close", "reset", "slow", "silent"])
def test_stages_of_a_login(server, stage, mode):
    with server.fault("stage", stage=stage, mode=mode, seconds=0.25):
        started = time.monotonic()
        if mode == "slow":
            server.connect().close()
            assert 0.25 <= time.monotonic() - started < 2
        elif mode == "silent":
            errors = []
            thread = threading.Thread(target=lambda: errors.append(refused(server)), daemon=True)
            thread.start()
            thread.join(0.4)
            assert thread.is_alive()
            assert server.control.logins()[-1] | {"outcome": "", "stage": stage} == server.control.logins()[-1]
            server.control.clear_faults()
            thread.join(3)
            assert errors == ["DPY-4011"]
        else:
            assert refused(server) in ("DPY-4011", "ConnectionResetError")


@pytest.mark.parametrize("stage", ["execute", "fetch", "ping", "commit", "rollback"])
@pytest.mark.parametrize("mode", ["close", "slow", "silent"])
def test_stages_of_a_session(server, stage, mode):
    connection = server.connect()
    cursor = connection.cursor()
    cursor.prefetchrows = 2
    cursor.execute("SELECT CUST_ID FROM CUSTOMER")
    calls = {
        "execute": lambda: connection.cursor().execute("SELECT 1 FROM DUAL"),
        "fetch": cursor.fetchall,
        "ping": connection.ping,
        "commit": connection.commit,
        "rollback": connection.rollback,
    }
    with server.fault("stage", stage=stage, mode=mode, seconds=0.2):
        started = time.monotonic()
        if mode == "slow":
            calls[stage]()
            assert time.monotonic() - started >= 0.2
        else:
            connection.call_timeout = 200 if mode == "silent" else 0
            with pytest.raises(oracledb.Error) as raised:
                calls[stage]()
            assert code_of(raised.value) == {"silent": "DPY-4024", "close": "DPY-4011"}[mode]
    with contextlib.suppress(oracledb.Error):
        connection.close()


def test_a_slow_query_is_interrupted_and_the_session_goes_on(server, connection):
    cursor = connection.cursor()
    with server.fault("slow_query", seconds=20, match="from target"):
        connection.call_timeout = 200
        with pytest.raises(oracledb.Error) as raised:
            cursor.execute("SELECT * FROM TARGET")
        assert code_of(raised.value) == "DPY-4024"
        assert cursor.execute("SELECT 1 FROM DUAL").fetchone() == (1,)
    with server.fault("slow_query", seconds=0.3, times=1):
        connection.call_timeout = 0
        started = time.monotonic()
        cursor.execute("SELECT * FROM TARGET")
        assert time.monotonic() - started >= 0.3


def test_a_break_that_is_ignored_costs_the_connection(server):
    connection = server.connect()
    connection.call_timeout = 200
    with server.fault("ignore_break"), server.fault("slow_query", seconds=20):
        started = time.monotonic()
        with pytest.raises(oracledb.Error) as raised:
            connection.cursor().execute("SELECT 1 FROM DUAL")
    assert code_of(raised.value) == "DPY-4011"
    assert 0.4 <= time.monotonic() - started < 2
    assert not connection.is_healthy()


@pytest.mark.parametrize("code", [942, 1555, 4031, 1722])
def test_errors_of_a_query(server, connection, code):
    with server.fault("query_error", code=code, match="target"):
        with pytest.raises(oracledb.Error) as raised:
            connection.cursor().execute("SELECT * FROM TARGET")
        assert code_of(raised.value) == f"ORA-{code:05d}"
        connection.cursor().execute("SELECT * FROM DUAL")


def test_a_killed_session(server):
    with server.connect() as connection:
        assert server.control.kill(number=connection.session_id) == 1
        with pytest.raises(oracledb.Error) as raised:
            connection.cursor().execute("SELECT 1 FROM DUAL")
        assert code_of(raised.value) in ("ORA-00028", "DPY-4011")
        assert "ORA-00028" in str(raised.value)
        with pytest.raises(oracledb.Error):
            connection.ping()


def test_a_session_that_is_killed_at_once(server):
    connection = server.connect()
    server.control.kill(user="tank", immediate=True)
    with pytest.raises(oracledb.Error) as raised:
        connection.ping()
    assert code_of(raised.value) == "DPY-4011"


def test_a_session_that_is_killed_in_a_query(server):
    connection = server.connect()
    timer = threading.Timer(0.3, lambda: server.control.kill(number=connection.session_id))
    timer.start()
    with pytest.raises(oracledb.Error) as raised:
        connection.cursor().execute("BEGIN DBMS_SESSION.SLEEP(20); END;")
    assert "ORA-00028" in str(raised.value)


def test_states_of_an_account(server):
    change, password = server.control.account, "state"
    change("STATED", password=password)
    for changes, code in (
        ({"status": "LOCKED"}, "ORA-28000"), ({"status": "LOCKED(TIMED)"}, "ORA-28000"), ({"status": "EXPIRED"}, "ORA-28001"),
        ({"status": "OPEN", "expires_at": "2020-01-01 00:00:00"}, "ORA-28001"), ({"status": "OPEN", "expires_at": "", "rights": []}, "ORA-01045"),
    ):  # fmt: skip
        change("STATED", **changes)
        assert refused(server, user="STATED", password=password) == code
        assert server.control.logins()[-1]["outcome"] == code
    change("STATED", status="OPEN", rights=["CREATE SESSION"])
    assert refused(server, user="STATED", password="wrong") == "ORA-01017"
    assert refused(server, user="NOBODY", password="wrong") == "ORA-01017"
    assert refused(server, user="STATED", password=password, mode=oracledb.AUTH_MODE_SYSDBA) == "ORA-01017"
    assert refused(server, user="SYS") == "ORA-28009"
    server.connect("SYS", mode=oracledb.AUTH_MODE_SYSDBA).close()
    change("OLD10G", password=password, verifier="10g")
    assert refused(server, user="OLD10G", password=password) == "DPY-3015"


def test_sys_may_connect_to_a_starting_instance(server):
    with server.fault("instance", state="starting"):
        server.connect("SYS", mode=oracledb.AUTH_MODE_SYSDBA).close()


def test_a_password_that_expires_soon_is_a_warning(server):
    until = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 9 * 3600 + 4.5 * 86400))
    server.control.account("GRACE", password="soon", status="EXPIRED(GRACE)", expires_at=until)
    with server.connect("GRACE", "soon") as connection:
        assert connection.warning.full_code == "ORA-28002"
        assert "within 5 days" in str(connection.warning)
        connection.cursor().execute("SELECT 1 FROM DUAL")


def test_failed_logins_are_counted_and_lock_the_account(server):
    server.control.account("COUNTED", password="right")
    with server.fault("failed_logins", limit=3):
        for code in ("ORA-01017", "ORA-01017", "ORA-01017", "ORA-28000"):
            assert refused(server, user="COUNTED", password="wrong") == code
        assert refused(server, user="COUNTED", password="right") == "ORA-28000"
    tried = server.control.logins(user="COUNTED")
    assert [attempt["outcome"] for attempt in tried] == ["ORA-01017"] * 3 + ["ORA-28000"] * 2
    assert {(attempt["address"], attempt["service"]) for attempt in tried} == {("127.0.0.1", "ORCLPDB1")}
    assert server.control.status()["accounts"]["COUNTED"] == "LOCKED(TIMED)"
    log = (server.folder / "logins.jsonl").read_text()
    assert sum(json.loads(line)["user"] == "COUNTED" for line in log.splitlines()) == 5
    server.control.account("COUNTED", status="OPEN")
    server.connect("COUNTED", "right").close()
    assert server.control.logins(user="COUNTED")[-1]["outcome"] == "OK"


def test_a_good_login_forgets_the_failed_ones(server):
    server.control.account("FORGIVEN", password="right")
    with server.fault("failed_logins", limit=2):
        for _ in range(3):
            assert refused(server, user="FORGIVEN", password="wrong") == "ORA-01017"
            server.connect("FORGIVEN", "right").close()


def test_no_secret_is_in_the_log_of_logins(server):
    server.connect().close()
    text = (server.folder / "logins.jsonl").read_text() + json.dumps(server.control.logins()) + json.dumps(server.control.status())
    assert not [name for name, password in server.passwords.items() if password in text]


def test_the_listener_sends_clients_elsewhere(server):
    with server.fault("redirect", host="127.0.0.1", port=server.ports["port"], times=1), server.connect() as connection:
        assert connection.cursor().execute("SELECT SYS_CONTEXT('USERENV', 'SERVICE_NAME') FROM DUAL").fetchone() == ("ORCLPDB1",)
    assert [attempt["outcome"] for attempt in server.control.logins()[-2:]] == ["redirected", "OK"]


def test_a_limit_counts_the_sessions_that_are_there(server):
    assert eventually(lambda: not server.control.status()["sessions"])
    with server.fault("max_sessions", limit=1):
        with server.connect("TANK_MON") as monitor:
            assert refused(server) == "ORA-00018"
            row = monitor.cursor().execute("SELECT TRIM(LIMIT_VALUE) FROM V$RESOURCE_LIMIT WHERE RESOURCE_NAME = 'sessions'").fetchone()
            assert row == ("1",)
        assert eventually(lambda: not server.control.status()["sessions"])
        server.connect().close()


def test_faults_that_are_not_there_are_refused(server):
    for kind, options in (("nosuch", {}), ("refuse", {}), ("refuse", {"code": 1, "x": 2}), ("stage", {"stage": "x", "mode": "close"})):
        with pytest.raises(ControlError):
            server.control.set_fault(kind, **options)
    with pytest.raises(ControlError, match="password"):
        server.control.account("NEWCOMER")
    with pytest.raises(ControlError, match="no command"):
        server.control.do("nosuch")


def test_the_command_line(server):
    def command(*arguments):
        argv = [sys.executable, "-m", "tests.replica.oracle", *arguments[:1], "--data", str(server.folder), *arguments[1:]]
        return subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=20)

    done = command("fault", "set", "refuse", "code=12518", "times=1")
    assert json.loads(done.stdout) == {"kind": "refuse", "code": 12518, "left": 1, "hits": 0}
    assert refused(server) == "DPY-6000"
    assert json.loads(command("fault", "list").stdout)[0]["hits"] == 1
    assert json.loads(command("fault", "clear").stdout) == 1
    assert json.loads(command("logins", "outcome=ORA-12518").stdout)
    wrong = command("fault", "set", "stage", "stage=nowhere", "mode=close")
    assert (wrong.returncode, "nowhere" in wrong.stderr or "one of" in wrong.stderr) == (1, True)


def test_a_request_from_the_standard_input(server):
    argv = [sys.executable, "-m", "tests.replica.oracle", "do", "--data", str(server.folder)]

    def do(request):
        done = subprocess.run(argv, input=json.dumps(request), cwd=CHECKOUT, capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout + done.stderr

    code, said = do({"do": "account", "name": "TANK", "password": "of-next-year"})
    assert (code, "of-next-year" in said) == (0, False)
    assert refused(server) == "ORA-01017"
    assert do({"do": "restore", "name": "tank"})[0] == 0
    server.connect().close()
    code, said = do({"do": "nonsense"})
    assert (code, "no command" in said) == (1, True)


def test_statements_of_an_account(server):
    due = "UPDATE TARGET SET NEXT_DUE_AT = SYSDATE WHERE AUTO_ID = 1"
    customers = server.control.sql("SELECT COUNT(*) FROM TARGET WHERE AUTO_ID = 1")["rows"][0][0]
    assert server.control.sql(due) == {"rows": [], "count": customers}
    assert server.control.sql("SELECT COUNT(*) FROM TARGET WHERE AUTO_ID = 1 AND NEXT_DUE_AT <= SYSDATE", "tank")["rows"] == [[customers]]
    with pytest.raises(ControlError, match="ORA-01031"):
        server.control.sql("DELETE FROM TARGET", "TANK")
    with pytest.raises(ControlError, match="KeyError"):
        server.control.sql(due, "NOBODY")


def test_everything_is_as_it_was_made(server):
    server.control.set_fault("listener", state="down")
    server.control.account("TANK", password="x", status="LOCKED", rights=["DBA"], grants={})
    server.control.restore()
    assert server.control.do("fault.list") == []
    with server.connect() as connection:
        assert connection.cursor().execute("SELECT COUNT(*) FROM SESSION_ROLES").fetchone() == (0,)
        assert connection.cursor().execute("SELECT COUNT(*) FROM TARGET_VIEW").fetchone()[0] > 0


def test_the_listener_answers_a_ping(server):
    asked = b"(DESCRIPTION=(CONNECT_DATA=(COMMAND=ping)))"
    body = struct.pack(">HHHHHHHHHH", 318, 300, 0, 8192, 32767, 0x7F08, 0, 1, len(asked), 58).ljust(50, b"\0") + asked
    with server.fault("refuse", code=12518), socket.create_connection(("127.0.0.1", server.ports["port"]), 5) as client:
        client.sendall(struct.pack(">HHBBH", 8 + len(body), 0, 1, 0, 0) + body)
        answer = client.recv(1000)
    assert (answer[4], b"(ERR=0)" in answer) == (4, True)
    assert eventually(lambda: server.control.logins()[-1]["outcome"].startswith("ping"))


@pytest.mark.parametrize(
    "words",
    [b"", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x00\x08\x00\x00\x01\x00\x00\x00", b"\x00\x04\x00\x00", b"SSH-2.0-x\r\n" * 9],
)  # fmt: skip
def test_strangers_do_not_harm_the_server(server, words):
    before = len(server.control.logins())
    with socket.create_connection(("127.0.0.1", server.ports["port"]), 5) as stranger:
        stranger.sendall(words)
    assert eventually(lambda: [attempt for attempt in server.control.logins()[before:] if attempt["outcome"]])
    assert server.control.logins()[before]["user"] == ""
    server.connect().close()


def test_a_type_that_the_server_does_not_have_ends_the_connection(server):
    connection = server.connect()
    with pytest.raises(oracledb.Error) as raised:
        connection.cursor().execute("SELECT :1 FROM DUAL", [datetime.timedelta(days=1)])
    assert code_of(raised.value) in ("ORA-03115", "DPY-4011")
