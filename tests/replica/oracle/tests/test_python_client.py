"""python-oracledb in thin mode against the server: what works with a real database works here."""

# ruff: noqa: S608 - the texts are the tests' own
from __future__ import annotations

import asyncio
import datetime
import ssl
from decimal import Decimal

import pytest

from .conftest import eventually, start_server

oracledb = pytest.importorskip("oracledb")


def code_of(raised):
    return raised.value.args[0].full_code


@pytest.mark.parametrize("target", [{"service_name": "ORCLPDB1"}, {"service_name": "orclpdb1"}, {"sid": "ORCL"}])
def test_connects_by_service_and_by_sid(server, target):
    with server.connect(**target) as connection:
        assert connection.version.startswith("19.")
        connection.ping()
        assert connection.is_healthy()
        assert connection.cursor().execute("SELECT USER FROM DUAL").fetchone() == ("TANK",)


@pytest.mark.parametrize("verifier", ["11g", "12c"])
def test_logs_in_with_both_verifiers(server, verifier):
    server.control.account("VERIFIED", password="tiger Ä1", verifier=verifier)
    server.connect("verified", "tiger Ä1").close()
    with pytest.raises(oracledb.DatabaseError) as raised:
        server.connect("verified", "tiger Ä2")
    assert code_of(raised) == "ORA-01017"


def test_async_connection(server):
    async def work():
        async with oracledb.connect_async(
            user="TANK", password=server.passwords["TANK"], host="127.0.0.1", port=server.ports["port"], service_name="ORCLPDB1"
        ) as connection:
            await connection.ping()
            return await connection.fetchone("SELECT COUNT(*) FROM TARGET")

    assert asyncio.run(asyncio.wait_for(work(), 10)) == (580,)


def test_tls(server):
    context = ssl.create_default_context(cafile=server.folder / "wallet" / "ewallet.pem")
    options = {"protocol": "tcps", "port": server.ports["tcps_port"], "ssl_context": context, "ssl_server_dn_match": False}
    with server.connect(**options) as connection:
        assert connection.cursor().execute("SELECT 1 FROM DUAL").fetchone() == (1,)
    with pytest.raises(oracledb.Error):
        server.connect(protocol="tcps", port=server.ports["tcps_port"], ssl_context=ssl.create_default_context())


def test_values_of_all_types_come_back(owner):
    cursor = owner.cursor()
    cursor.execute("CREATE TABLE T_TYPES (ID NUMBER(5) PRIMARY KEY, N NUMBER, P NUMBER(12,3), V VARCHAR2(4000), C CHAR(3), D DATE, "
                   "T TIMESTAMP, R RAW(10))")  # fmt: skip
    moment = datetime.datetime(2026, 2, 28, 23, 59, 58, 123456)
    rows = [
        (1, 12345678901234, Decimal("1.125"), "text 한글 'quoted'", "abc", moment.replace(microsecond=0), moment, b"\x00\xff"),
        (2, -0.5, Decimal("-999999999.999"), "x" * 3900, "a", datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31), b"\x01"),
        (3, None, None, None, None, None, None, None),
    ]
    cursor.setinputsizes(None, None, None, None, None, None, oracledb.DB_TYPE_TIMESTAMP, None)
    cursor.executemany("INSERT INTO T_TYPES VALUES (:1, :2, :3, :4, :5, :6, :7, :8)", rows)
    assert cursor.rowcount == 3
    owner.commit()
    cursor.execute("SELECT * FROM T_TYPES ORDER BY ID")
    kinds = [oracledb.DB_TYPE_NUMBER] * 3 + [oracledb.DB_TYPE_VARCHAR, oracledb.DB_TYPE_CHAR, oracledb.DB_TYPE_DATE]
    assert [column[1] for column in cursor.description] == [*kinds, oracledb.DB_TYPE_TIMESTAMP, oracledb.DB_TYPE_RAW]
    assert [tuple(column[4:6]) for column in cursor.description][2] == (12, 3)
    found = cursor.fetchall()
    assert found[0] == (1, 12345678901234, 1.125, rows[0][3], "abc", rows[0][5], moment, b"\x00\xff")
    assert found[1] == (2, -0.5, -999999999.999, "x" * 3900, "a  ", rows[1][5], rows[1][6], b"\x01")
    assert found[2] == (3, *[None] * 7)
    assert cursor.execute("SELECT ID FROM T_TYPES WHERE D = :d AND T > :t", d=rows[0][5], t=rows[0][5]).fetchall() == [(1,)]
    cursor.execute("DROP TABLE T_TYPES")


def test_binds_by_name_and_position_null_and_repeated(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT :x, :y, :x FROM DUAL", x="a", y=1.5)
    assert cursor.fetchall() == [("a", 1.5, "a")]
    cursor.execute("SELECT :1, :2, :3 FROM DUAL", [None, 2**62, datetime.datetime(2026, 1, 2, 3, 4, 5)])
    assert cursor.fetchall() == [(None, 2**62, datetime.datetime(2026, 1, 2, 3, 4, 5))]


@pytest.mark.parametrize(("prefetch", "array"), [(2, 100), (0, 7), (1, 1), (1000, 1000), (580, 100), (579, 1)])
def test_fetches_in_several_round_trips(connection, prefetch, array):
    cursor = connection.cursor()
    cursor.prefetchrows, cursor.arraysize = prefetch, array
    for _ in range(2):
        cursor.execute("SELECT CUST_ID, RPAD(CUST_NAME, 200, 'x') FROM CUSTOMER ORDER BY CUST_ID")
        rows = cursor.fetchall()
        assert (len(rows), cursor.rowcount, rows[0][0]) == (580, 580, "GID_20001000")


def test_a_statement_is_executed_again_with_other_binds(connection):
    cursor = connection.cursor()
    for auto_id, count in ((1, 18), (3, 120), ("4", 60)):
        assert cursor.execute("SELECT COUNT(*) FROM TARGET WHERE AUTO_ID = :1", [auto_id]).fetchone() == (count,)


def test_tanks_own_queries(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT CUST_ID, EMAIL_ADDR, CUST_NAME, ATTACH_FILE_NAME FROM TARGET_VIEW WHERE CUST_ID = :id", id="GID_20003000")
    row = cursor.fetchone()
    assert row[:3] == ("GID_20003000", "minjun.kim0@example.com", "minjun kim")
    assert row[3].startswith("BAC03V000R_MERSTAT_GID_20003000_20")
    assert cursor.execute("SELECT CUST_NAME FROM CUSTOMER WHERE CUST_ID = :1", ["GID_20003000"]).fetchone() == ("minjun kim",)
    cursor.execute("UPDATE TARGET SET SENT_YN = 'Y', SENT_AT = SYSTIMESTAMP WHERE CUST_ID = :1", ["GID_20003000"])
    assert cursor.rowcount == 1
    connection.rollback()
    assert cursor.execute("SELECT SENT_YN, SENT_AT FROM TARGET WHERE CUST_ID = 'GID_20003000'").fetchone() == ("N", None)


def test_commit_rollback_and_autocommit(server, connection):
    def flag():
        with server.connect() as other:
            return other.cursor().execute("SELECT SENT_YN FROM TARGET WHERE CUST_ID = 'GID_20004000'").fetchone()[0]

    cursor = connection.cursor()
    change = "UPDATE TARGET SET SENT_YN = :1 WHERE CUST_ID = 'GID_20004000'"
    cursor.execute(change, ["Y"])
    assert (flag(), connection.transaction_in_progress) == ("N", True)
    connection.commit()
    assert (flag(), connection.transaction_in_progress) == ("Y", False)
    connection.autocommit = True
    cursor.execute(change, ["N"])
    assert flag() == "N"


def test_an_open_transaction_ends_with_its_connection(server):
    connection = server.connect()
    connection.cursor().execute("UPDATE TARGET SET SENT_YN = 'Y' WHERE CUST_ID = 'GID_20004001'")
    connection.close()
    with server.connect() as other:
        assert other.cursor().execute("SELECT SENT_YN FROM TARGET WHERE CUST_ID = 'GID_20004001'").fetchone() == ("N",)
        other.cursor().execute("UPDATE TARGET SET SENT_YN = 'N' WHERE CUST_ID = 'GID_20004001'")


@pytest.mark.parametrize(
    ("text", "code", "offset"),
    [
        ("SELECT * FROM NOSUCH", "ORA-00942", 14), ("SELECT NOSUCH FROM TARGET", "ORA-00904", 7), ("SELECT 1/0 FROM DUAL", "ORA-01476", 0),
        ("SELECT * FROM TARGET WHERE AUTO_ID = 'x'", "ORA-01722", 0), ("SELECTED", "ORA-00900", 0), ("DELETE FROM TARGET", "ORA-01031", 12),
        ("SELECT TO_DATE('x', 'YYYY') FROM DUAL", "ORA-01858", 0), ("SELECT 1 FROM DUAL WHERE", "ORA-00936", 24),
        ("SELECT * FROM V$SESSION", "ORA-00942", 14),
    ],
)  # fmt: skip
def test_errors_have_their_codes_and_the_session_goes_on(connection, text, code, offset):
    with pytest.raises(oracledb.DatabaseError) as raised:
        connection.cursor().execute(text).fetchall()
    assert (code_of(raised), raised.value.args[0].offset) == (code, offset)
    assert connection.cursor().execute("SELECT 1 FROM DUAL").fetchone() == (1,)


def test_unique_violation_and_array_errors(owner):
    cursor = owner.cursor()
    cursor.execute("CREATE TABLE T_UNIQUE (ID NUMBER PRIMARY KEY)")
    cursor.execute("INSERT INTO T_UNIQUE VALUES (1)")
    assert len(cursor.lastrowid) == 18
    with pytest.raises(oracledb.IntegrityError) as raised:
        cursor.execute("INSERT INTO T_UNIQUE VALUES (1)")
    assert code_of(raised) == "ORA-00001"
    cursor.executemany("INSERT INTO T_UNIQUE VALUES (:1)", [(2,), (1,), (3,), (2,)], batcherrors=True)
    assert [(error.offset, error.full_code) for error in cursor.getbatcherrors()] == [(1, "ORA-00001"), (3, "ORA-00001")]
    assert cursor.rowcount == 2
    owner.rollback()
    cursor.execute("DROP TABLE T_UNIQUE")


def test_a_big_array_and_a_long_statement(owner):
    cursor = owner.cursor()
    cursor.execute("CREATE TABLE T_BIG (ID NUMBER, V VARCHAR2(100))")
    cursor.executemany("INSERT INTO T_BIG VALUES (:1, :2)", [(number, f"value {number}" * 5) for number in range(5000)])
    assert cursor.execute("SELECT COUNT(*), MAX(ID) FROM T_BIG").fetchone() == (5000, 4999)
    items = ",".join(str(number) for number in range(0, 5000, 2))
    assert cursor.execute(f"SELECT COUNT(*) FROM T_BIG WHERE ID IN ({items})").fetchone() == (2500,)
    cursor.execute("DROP TABLE T_BIG")


def test_parse_describes_without_running(connection):
    cursor = connection.cursor()
    cursor.parse("SELECT CUST_ID, AUTO_ID FROM TARGET")
    assert [column[0] for column in cursor.description] == ["CUST_ID", "AUTO_ID"]


def test_a_call_timeout_leaves_the_session_usable(connection):
    cursor = connection.cursor()
    cursor.execute("UPDATE TARGET SET SENT_YN = 'Y' WHERE CUST_ID = 'GID_20004002'")
    connection.call_timeout = 250
    with pytest.raises(oracledb.DatabaseError) as raised:
        cursor.execute("BEGIN DBMS_SESSION.SLEEP(20); END;")
    assert code_of(raised) == "DPY-4024"
    connection.call_timeout = 5000
    assert cursor.execute("SELECT SENT_YN FROM TARGET WHERE CUST_ID = 'GID_20004002'").fetchone() == ("Y",)
    connection.rollback()


def test_cancel_from_another_thread(connection):
    import threading

    threading.Timer(0.3, connection.cancel).start()
    with pytest.raises(oracledb.DatabaseError) as raised:
        connection.cursor().execute("BEGIN DBMS_SESSION.SLEEP(20); END;")
    assert code_of(raised) == "ORA-01013"
    connection.ping()


def test_pool_and_session_attributes(server):
    pool = oracledb.create_pool(
        user="TANK", password=server.passwords["TANK"], host="127.0.0.1", port=server.ports["port"], service_name="ORCLPDB1", min=2, max=3
    )
    with pool.acquire() as connection:
        connection.module, connection.action, connection.clientinfo = "tank", "send", "daily"
        connection.current_schema = "CUST"
        assert connection.cursor().execute("SELECT COUNT(*) FROM CUSTOMER_ITEM").fetchone()[0] > 580
    with server.connect("TANK_MON") as monitor:
        seen = monitor.cursor().execute("SELECT MODULE, STATUS FROM V$SESSION WHERE MODULE IS NOT NULL").fetchall()
    assert seen == [("tank", "INACTIVE")]
    pool.close()


def test_a_password_is_changed_with_the_login_and_in_the_session(server):
    server.control.account("CHANGING", password="first", status="EXPIRED")
    with pytest.raises(oracledb.DatabaseError) as raised:
        server.connect("CHANGING", "first")
    assert code_of(raised) == "ORA-28001"
    with server.connect("CHANGING", "first", newpassword="second") as connection:
        with pytest.raises(oracledb.DatabaseError) as raised:
            connection.changepassword("wrong", "third")
        assert code_of(raised) == "ORA-01017"
        connection.changepassword("second", "third")
    server.connect("CHANGING", "third").close()


def test_the_dictionary_of_a_connection_test(server, connection):
    cursor = connection.cursor()
    assert "19c" in cursor.execute("SELECT BANNER FROM V$VERSION").fetchone()[0]
    assert cursor.execute("SELECT PRIVILEGE FROM USER_SYS_PRIVS").fetchall() == [("CREATE SESSION",)]
    rights = cursor.execute("SELECT PRIVILEGE FROM ALL_TAB_PRIVS WHERE TABLE_NAME = 'TARGET' ORDER BY 1").fetchall()
    assert rights == [("SELECT",), ("UPDATE",)]
    expiry = (datetime.datetime.now() + datetime.timedelta(days=9)).replace(microsecond=0)
    server.control.account("TANK", expires_at=expiry.isoformat(" "))
    with server.connect() as other:
        assert other.cursor().execute("SELECT ACCOUNT_STATUS, EXPIRY_DATE FROM USER_USERS").fetchone() == ("OPEN", expiry)
    server.control.account("TANK", expires_at="")
    with server.connect("TANK_MON") as monitor:
        used = monitor.cursor().execute("SELECT CURRENT_UTILIZATION FROM V$RESOURCE_LIMIT WHERE RESOURCE_NAME = 'sessions'").fetchone()
        assert used[0] >= 2
        users = monitor.cursor().execute("SELECT COUNT(*) FROM V$SESSION WHERE USERNAME = 'TANK'").fetchone()
        assert users[0] >= 1


def test_data_and_accounts_outlast_a_restart(tmp_path):
    first = start_server(tmp_path, "--service", "TANKDB")
    with first.connect(service_name="TANKDB") as connection:
        connection.cursor().execute("UPDATE TARGET SET SENT_YN = 'Y' WHERE AUTO_ID = 1")
        connection.commit()
        connection.cursor().execute("UPDATE TARGET SET SENT_YN = 'Y' WHERE AUTO_ID = 2")
        first.control.account("LATER", password="stays")
        first.stop()
    second = start_server(tmp_path, "--service", "TANKDB")
    with second.connect("LATER", "stays", service_name="TANKDB"), second.connect(service_name="TANKDB") as connection:
        counted = connection.cursor().execute("SELECT AUTO_ID, COUNT(*) FROM TARGET WHERE SENT_YN = 'Y' GROUP BY AUTO_ID").fetchall()
    assert counted == [(1, 18)]
    second.stop()


def test_a_client_that_goes_away_leaves_no_session(server):
    connection = server.connect()
    number = connection.session_id
    assert any(session["number"] == number for session in server.control.status()["sessions"])
    connection.close()
    assert eventually(lambda: all(session["number"] != number for session in server.control.status()["sessions"]))
