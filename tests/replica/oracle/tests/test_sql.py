"""Oracle's SQL over the store: results, types and errors."""

# ruff: noqa: S608 - the texts are the tests' own
from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .. import formats
from ..dictionary import Dictionary, Instance, Usage
from ..engine import SqlSession
from ..errors import OraError
from ..lexer import tokens_of
from ..seed import seed
from ..store import Store
from ..values import DATE, NUMBER, varchar

NOW = datetime(2026, 3, 4, 5, 6, 7)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    made = Store(folder, timedelta(hours=9))
    seed(made, folder)
    yield made
    made.close()


def session_of(store, name):
    instance = Instance("ORCL", "ORCLPDB1", "db", NOW, usages=[Usage("sessions", 300, 2, 5)])
    account = store.accounts[name]
    return SqlSession(store, account, Dictionary(store, instance, account).view, {"SESSION_USER": name})


@pytest.fixture
def sql(store):
    made = session_of(store, "CUST")
    yield made
    made.close()


@pytest.fixture
def tank(store):
    made = session_of(store, "TANK")
    yield made
    made.close()


def run(session, text, *binds, types=None):
    """Rows of a query, or the number of rows that a change touched."""
    kinds = types or tuple(NUMBER if isinstance(bind, int | float) else varchar(4000) for bind in binds)
    made = session.translate(text, kinds)
    outcome = session.run(made, [list(binds)])
    return outcome.rows if made[0].kind == "query" else outcome.count


def value(session, expression, *binds, types=None):
    return run(session, f"SELECT {expression} FROM DUAL", *binds, types=types)[0][0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1+2*3", 7), ("(1+2)*3", 9), ("7/2", 3.5), ("6/3", 2), ("-5", -5), ("MOD(7,3)", 1), ("TRUNC(3.79,1)", 3.7), ("ROUND(2.5)", 3),
        ("'a'||1||NULL", "a1"), ("''", None), ("NVL('', 'x')", "x"), ("NVL2(NULL,1,2)", 2), ("COALESCE(NULL,NULL,3)", 3),
        ("DECODE(2,1,'one',2,'two','many')", "two"), ("DECODE(NULL,NULL,'null','other')", "null"), ("NULLIF(1,1)", None),
        ("CASE WHEN 1=2 THEN 'a' WHEN 2=2 THEN 'b' ELSE 'c' END", "b"), ("CASE 3 WHEN 3 THEN 'three' END", "three"),
        ("SUBSTR('abcdef',2,3)", "bcd"), ("SUBSTR('abcdef',-2)", "ef"), ("INSTR('abc','c')", 3), ("LENGTH('abc')", 3),
        ("UPPER('aß한')", "ASS한"), ("LPAD('7',3,'0')", "007"), ("RPAD('a',3)", "a  "), ("TRIM('  a ')", "a"),
        ("TRIM(LEADING '0' FROM '007')", "7"), ("REPLACE('a-b','-','+')", "a+b"), ("GREATEST(1,3,2)", 3),
        ("TO_NUMBER('12.5')", 12.5), ("'2'*3", 6), ("TO_CHAR(DATE '2026-03-04','YYYYMMDD')", "20260304"), ("TO_CHAR(1234.5)", "1234.5"),
        ("TO_CHAR(.5)", ".5"), ("TO_CHAR(1234567.891,'FM9,999,999.00')", "1,234,567.89"), ("TO_CHAR(5,'000')", " 005"),
        ("TO_DATE('2026-03-04 05:06','YYYY-MM-DD HH24:MI')", "2026-03-04 05:06:00"), ("DATE '2026-03-04' + 1", "2026-03-05 00:00:00"),
        ("DATE '2026-03-04' - DATE '2026-03-01'", 3), ("ADD_MONTHS(DATE '2026-01-31',1)", "2026-02-28 00:00:00"),
        ("LAST_DAY(DATE '2024-02-03')", "2024-02-29 00:00:00"), ("TRUNC(DATE '2026-03-04','MM')", "2026-03-01 00:00:00"),
        ("DATE '2026-03-04' + INTERVAL '90' MINUTE", "2026-03-04 01:30:00"), ("EXTRACT(YEAR FROM DATE '2026-03-04')", 2026),
        ("TIMESTAMP '2026-03-04 05:06:07.5' - INTERVAL '1' SECOND", "2026-03-04 05:06:06.500000"), ("USER", "CUST"),
        ("DATE '2026-03-04' + NUMTODSINTERVAL(36,'HOUR')", "2026-03-05 12:00:00"), ("MONTHS_BETWEEN(DATE '2026-03-04',DATE '2026-01-04')", 2),
        ("SYS_CONTEXT('USERENV','SESSION_USER')", "CUST"), ("CAST('12' AS NUMBER)", 12), ("(SELECT MAX(DUMMY) FROM DUAL)", "X"),
        ("INITCAP('kim min-jun')", "Kim Min-Jun"), ("MOD(5,0)", 5), ("TO_CHAR(DATE '2026-03-04','FMMonth DD, YYYY')", "March 4, 2026"),
    ],
)  # fmt: skip
def test_expressions(sql, expression, expected):
    assert value(sql, expression) == expected


@pytest.mark.parametrize(
    ("text", "code", "position"),
    [
        ("SELECT NOSUCH FROM DUAL", 904, 7), ("SELECT C.NOSUCH FROM CUSTOMER C", 904, 7), ("SELECT * FROM NOSUCH", 942, 14),
        ("SELECT * FROM OTHER.CUSTOMER", 942, 14), ("SELEC 1", 900, 0), ("", 900, 0), ("SELECT FROM DUAL", 936, 7),
        ("SELECT 1", 923, 8), ("SELECT (1 FROM DUAL", 907, 10), ("SELECT 1 FROM DUAL WHERE", 936, 24), ("SELECT 1 FROM DUAL;", 911, 18),
        ("SELECT 'a FROM DUAL", 1756, 7), ("SELECT 1 FROM DUAL X Y", 933, 21), ("SELECT NOFUNC(1) FROM DUAL", 904, 7),
        ("SELECT CUST_ID FROM TARGET T, CUSTOMER C", 918, 7), ("SELECT CUST_ID, COUNT(*) FROM TARGET", 937, 36),
        ("SELECT AUTO_ID, CUST_ID FROM TARGET GROUP BY AUTO_ID", 979, 52), ("SELECT COUNT(1,2) FROM DUAL", 909, 7),
        ("INSERT INTO CUSTOMER (CUST_ID) VALUES (1,2)", 913, 43), ("UPDATE CUSTOMER SET NOSUCH=1", 904, 20),
        ("UPDATE CUSTOMER WHERE 1=1", 971, 16), ("SELECT 1 UNION SELECT 1,2 FROM DUAL", 923, 9), ("DROP TABLE NOSUCH", 942, 11),
        ("CREATE TABLE T1 (A NOSUCHTYPE)", 902, 19), ("SELECT 1 FROM CUSTOMER WHERE CUST_ID", 920, 36),
        ("SELECT A FROM (SELECT 1 AS A FROM DUAL UNION ALL SELECT 1, 2 FROM DUAL)", 1789, 70),
        ("MERGE INTO CUSTOMER USING DUAL ON (1=1)", 3001, 0), ("SELECT DATE '2026-01-01' + SYSDATE FROM DUAL", 975, 27),
    ],
)  # fmt: skip
def test_wrong_statements_have_oracles_error_and_its_place(sql, text, code, position):
    with pytest.raises(OraError) as raised:
        run(sql, text)
    assert (raised.value.code, raised.value.position) == (code, position)


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("TO_NUMBER('x')", 1722), ("'x'+1", 1722), ("1/0", 1476), ("TO_DATE('2026','YYYY-MM-DD')", 1840), ("TO_DATE('2026-13-01','YYYY-MM-DD')", 1843),
        ("TO_DATE('2026-02-30','YYYY-MM-DD')", 1839), ("TO_DATE('2026-02-01x','YYYY-MM-DD')", 1830), ("TO_DATE('x','YYYY')", 1858),
        ("TO_DATE('25','HH24')", 1850), ("TO_DATE('2026','NOFORMAT')", 1821), ("CASE WHEN SYSDATE > 'x' THEN 1 END", 1858),
    ],
)  # fmt: skip
def test_values_that_cannot_be_converted(sql, expression, code):
    with pytest.raises(OraError) as raised:
        value(sql, expression)
    assert raised.value.code == code


def test_a_character_string_in_a_numeric_comparison_is_an_invalid_number(tank):
    with pytest.raises(OraError, match="ORA-01722"):
        run(tank, "SELECT * FROM TARGET WHERE AUTO_ID = 'x'")
    assert run(tank, "SELECT COUNT(*) FROM TARGET WHERE AUTO_ID = '3'") == [(120,)]


def test_sysdate_is_the_databases_time_and_systimestamp_names_its_zone(sql):
    today = (datetime.now(UTC) + timedelta(hours=9)).strftime("%Y-%m-%d")
    assert value(sql, "SYSDATE").startswith(today)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+09:00", value(sql, "SYSTIMESTAMP"))
    assert value(sql, "CASE WHEN SYSTIMESTAMP >= SYSDATE AND SYSDATE + 1/24 > SYSTIMESTAMP THEN 1 END") == 1


def test_binds_go_by_name_position_and_occurrence(tank):
    text = "SELECT :a, :b, :a FROM CUSTOMER WHERE CUST_ID = :id AND ROWNUM = :n"
    assert run(tank, text, "x", 2, "x", "GID_20001000", 1) == [("x", 2, "x")]
    with pytest.raises(OraError, match="ORA-01008"):
        run(tank, text, "x", 2)


@pytest.mark.parametrize(
    ("tail", "count"),
    [
        ("FETCH FIRST 5 ROWS ONLY", 5), ("OFFSET 10 ROWS FETCH NEXT 3 ROWS ONLY", 3), ("WHERE ROWNUM <= 4", 4), ("WHERE ROWNUM < 4", 3),
        ("WHERE ROWNUM = 1", 1), ("WHERE ROWNUM = 2", 0), ("WHERE ROWNUM <= 4 ORDER BY CUST_ID DESC", 4), ("FETCH FIRST ROW ONLY", 1),
    ],
)  # fmt: skip
def test_row_limits(tank, tail, count):
    assert len(run(tank, f"SELECT CUST_ID FROM CUSTOMER {tail}")) == count


def test_rownum_counts_before_the_order_by_of_its_own_query(tank):
    first = run(tank, "SELECT CUST_ID FROM CUSTOMER WHERE ROWNUM <= 3 ORDER BY CUST_ID DESC")
    last = run(tank, "SELECT * FROM (SELECT CUST_ID FROM CUSTOMER ORDER BY CUST_ID DESC) WHERE ROWNUM <= 3")
    assert first == [("GID_20001002",), ("GID_20001001",), ("GID_20001000",)]
    assert last == [("GID_20010059",), ("GID_20010058",), ("GID_20010057",)]


def test_joins_groups_sets_and_windows(tank):
    grouped = run(tank, "SELECT AUTO_ID, COUNT(*) N FROM TARGET GROUP BY AUTO_ID HAVING COUNT(*) > 80 ORDER BY N DESC")
    assert grouped == [(3, 120), (5, 90)]
    joined = "SELECT C.CUST_NAME, T.AUTO_ID FROM TARGET T LEFT JOIN CUSTOMER C ON C.CUST_ID = T.CUST_ID WHERE T.CUST_ID = :1"
    assert run(tank, joined, "GID_20003000") == [("minjun kim", 3)]
    assert run(tank, "SELECT 1 A FROM DUAL UNION SELECT 1 FROM DUAL UNION ALL SELECT 2 FROM DUAL ORDER BY A DESC") == [(2,), (1,)]
    assert run(tank, "SELECT AUTO_ID FROM TARGET MINUS SELECT AUTO_ID FROM TARGET WHERE AUTO_ID > 1") == [(1,)]
    ranked = (
        "SELECT * FROM (SELECT AUTO_ID, ROW_NUMBER() OVER (PARTITION BY AUTO_ID ORDER BY CUST_ID) R FROM TARGET) WHERE R = 12 ORDER BY 1"
    )
    assert [row[0] for row in run(tank, ranked)] == list(range(1, 11))
    assert run(tank, "WITH A AS (SELECT MAX(AUTO_ID) M FROM TARGET) SELECT M FROM A") == [(10,)]
    nested = "SELECT COUNT(*) FROM CUSTOMER C WHERE EXISTS (SELECT 1 FROM TARGET T WHERE T.CUST_ID = C.CUST_ID AND T.AUTO_ID IN (1, 2))"
    assert run(tank, nested) == [(30,)]
    assert run(tank, "SELECT COUNT(*) FROM CUSTOMER WHERE CUST_ID IN (SELECT CUST_ID FROM TARGET WHERE AUTO_ID = 4)") == [(60,)]


def test_null_sorts_last_going_up_and_first_going_down(sql):
    rows = "(SELECT 1 A FROM DUAL UNION ALL SELECT NULL FROM DUAL UNION ALL SELECT 2 FROM DUAL)"
    assert run(sql, f"SELECT A FROM {rows} ORDER BY A") == [(1,), (2,), (None,)]
    assert run(sql, f"SELECT A FROM {rows} ORDER BY A DESC") == [(None,), (2,), (1,)]


def test_columns_have_oracles_types_and_names(tank):
    made = tank.translate("SELECT T.*, AUTO_ID+1, CUST_ID||'x' AS \"Mixed\", SYSDATE FROM TARGET T", ())[0]
    names = [column.name for column in made.columns]
    assert names[-3:] == ["AUTO_ID+1", "Mixed", "SYSDATE"]
    types = [column.type.name for column in made.columns]
    assert types == ["NUMBER", "VARCHAR2", "VARCHAR2", "NUMBER", "DATE", "CHAR", "TIMESTAMP", "NUMBER", "VARCHAR2", "DATE"]


def test_changes_are_seen_by_others_only_after_the_commit(store, tank):
    other = session_of(store, "CUST")
    question = "SELECT SENT_YN FROM TARGET WHERE CUST_ID = 'GID_20009000'"
    assert run(tank, "UPDATE TARGET SET SENT_YN = 'Y' WHERE CUST_ID = 'GID_20009000'") == 1
    assert (run(tank, question), run(other, question)) == ([("Y",)], [("N",)])
    tank.rollback()
    assert run(tank, question) == [("N",)]
    run(tank, "UPDATE TARGET SET SENT_YN = 'Y' WHERE CUST_ID = 'GID_20009000'")
    tank.commit()
    assert run(other, question) == [("Y",)]
    other.close()


def test_a_second_writer_waits_and_can_be_interrupted(store, tank):
    other = session_of(store, "CUST")
    run(tank, "UPDATE TARGET SET SENT_YN = 'Y' WHERE CUST_ID = 'GID_20009001'")
    timer = threading.Timer(0.2, other.interrupt)
    timer.start()
    with pytest.raises(OraError, match="ORA-01013"):
        run(other, "UPDATE TARGET SET SENT_YN = 'N' WHERE CUST_ID = 'GID_20009002'")
    tank.rollback()
    assert run(other, "UPDATE TARGET SET SENT_YN = 'N' WHERE CUST_ID = 'GID_20009002'") == 1
    other.rollback()
    other.close()


def test_a_long_query_can_be_interrupted(tank):
    timer = threading.Timer(0.2, tank.interrupt)
    timer.start()
    with pytest.raises(OraError, match="ORA-01013"):
        run(tank, "SELECT COUNT(*) FROM TARGET A, TARGET B, TARGET C, TARGET D")


def test_tables_keep_their_constraints(sql):
    run(sql, "CREATE TABLE T_CHECK (ID NUMBER(4) PRIMARY KEY, NAME VARCHAR2(5) NOT NULL, D DATE DEFAULT SYSDATE, A NUMBER(5,2))")
    assert run(sql, "INSERT INTO T_CHECK (ID, NAME, A) VALUES (1, 'abc', 1.005)") == 1
    assert run(sql, "SELECT ID, NAME, A FROM T_CHECK WHERE D <= SYSDATE") == [(1, "abc", 1)]
    for text, error in (
        ("INSERT INTO T_CHECK (ID, NAME) VALUES (1, 'x')", "ORA-00001: unique constraint (CUST.SYS_C007001) violated"),
        ("INSERT INTO T_CHECK (ID) VALUES (2)", 'ORA-01400: cannot insert NULL into ("CUST"."T_CHECK"."NAME")'),
        ("UPDATE T_CHECK SET NAME = ''", 'ORA-01407: cannot update ("CUST"."T_CHECK"."NAME") to NULL'),
        ("UPDATE T_CHECK SET NAME = '한글'", 'ORA-12899: value too large for column "CUST"."T_CHECK"."NAME" (actual: 6, maximum: 5)'),
        ("UPDATE T_CHECK SET ID = 12345", "ORA-01438: value larger than specified precision allowed for this column"),
        ("UPDATE T_CHECK SET ID = 'x'", "ORA-01722: invalid number"),
        ("CREATE TABLE T_CHECK (A DATE)", "ORA-00955: name is already used by an existing object"),
    ):
        with pytest.raises(OraError) as raised:
            run(sql, text)
        assert raised.value.text == error
    assert run(sql, "INSERT INTO T_CHECK (ID, NAME) SELECT ID + 1, NAME FROM T_CHECK") == 1
    assert run(sql, "DELETE FROM T_CHECK WHERE ROWNUM <= 1") == 1
    sql.commit()
    run(sql, "DROP TABLE T_CHECK")
    with pytest.raises(OraError, match="ORA-00942"):
        run(sql, "SELECT * FROM T_CHECK")


def test_rights_decide_what_an_account_may_do(store, sql, tank):
    for text, code in (
        ("DELETE FROM TARGET", 1031), ("INSERT INTO TARGET (AUTO_ID) VALUES (1)", 1031), ("CREATE TABLE MINE (A DATE)", 1031),
        ("UPDATE CUSTOMER SET CUST_NAME = 'x'", 1031), ("SELECT * FROM V$SESSION", 942), ("SELECT * FROM DBA_USERS", 942),
    ):  # fmt: skip
        with pytest.raises(OraError) as raised:
            run(tank, text)
        assert raised.value.code == code
    run(sql, "CREATE TABLE SECRET (A NUMBER)")
    with pytest.raises(OraError, match="ORA-00942"):
        run(tank, "SELECT * FROM CUST.SECRET")
    run(sql, "GRANT SELECT ON SECRET TO TANK")
    assert run(tank, "SELECT COUNT(*) FROM CUST.SECRET") == [(0,)]
    run(sql, "REVOKE SELECT ON SECRET FROM TANK")
    tank.forget_translations()
    with pytest.raises(OraError, match="ORA-00942"):
        run(tank, "SELECT COUNT(*) FROM CUST.SECRET")
    with pytest.raises(OraError, match="ORA-01917"):
        run(sql, "GRANT SELECT ON SECRET TO NOBODY")


def test_a_right_on_a_view_is_taken_and_given(sql, tank):
    run(sql, "REVOKE SELECT ON TARGET_VIEW FROM TANK")
    with pytest.raises(OraError, match="ORA-00942"):
        run(tank, "SELECT COUNT(*) FROM TARGET_VIEW")
    run(sql, "GRANT SELECT ON TARGET_VIEW TO TANK")
    assert run(tank, "SELECT COUNT(*) FROM TARGET_VIEW")[0][0] > 0


def test_the_rights_of_a_role_are_rights_of_the_session(tank, store, monkeypatch):
    monkeypatch.setattr(store.accounts["TANK"], "rights", ["CREATE SESSION", "DBA"])
    assert run(tank, "SELECT ROLE FROM SESSION_ROLES") == [("DBA",)]
    assert ("DROP ANY TABLE",) in run(tank, "SELECT PRIVILEGE FROM SESSION_PRIVS")
    assert run(tank, "SELECT PRIVILEGE FROM USER_SYS_PRIVS") == [("CREATE SESSION",)]


def test_the_dictionary_shows_an_account_itself(tank, store):
    assert run(tank, "SELECT PRIVILEGE FROM USER_SYS_PRIVS") == [("CREATE SESSION",)]
    granted = run(tank, "SELECT TABLE_NAME, PRIVILEGE FROM USER_TAB_PRIVS ORDER BY 1, 2")
    assert ("TARGET", "UPDATE") in granted
    assert ("CUSTOMER", "SELECT") in granted
    assert run(tank, "SELECT ACCOUNT_STATUS, EXPIRY_DATE FROM USER_USERS") == [("OPEN", None)]
    assert "Oracle Database 19c" in run(tank, "SELECT BANNER FROM V$VERSION")[0][0]
    assert run(tank, "SELECT DISTINCT OWNER FROM ALL_TABLES WHERE TABLE_NAME = 'TARGET'") == [("CUST",)]
    monitor = session_of(store, "TANK_MON")
    limits = run(monitor, "SELECT CURRENT_UTILIZATION, TRIM(LIMIT_VALUE) FROM V$RESOURCE_LIMIT WHERE RESOURCE_NAME = 'sessions'")
    assert limits == [(2, "300")]
    monitor.close()


@given(st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9999, 12, 31)))
def test_a_time_survives_its_text(moment):
    model = "YYYY-MM-DD HH24:MI:SS.FF6"
    assert formats.text_to_time(formats.time_to_text(moment, model), model, NOW) == moment
    model = "DD-Mon-YYYY HH12:MI:SS AM"
    assert formats.text_to_time(formats.time_to_text(moment, model), model, NOW) == moment.replace(microsecond=0)


@given(st.integers(-(10**12), 10**12))
def test_a_number_survives_its_text(number):
    assert formats.text_to_number(formats.plain_number(number)) == number
    text = formats.number_to_text(number, "FM9,999,999,999,990")
    assert int(text.replace(",", "")) == number


@given(st.text(max_size=60))
def test_any_text_is_a_statement_or_an_error(text):
    try:
        tokens_of(text)
    except OraError as error:
        assert error.code in (911, 1740, 1756)


def test_types_of_binds_decide_what_is_compared(tank):
    text = "SELECT COUNT(*) FROM TARGET WHERE NEXT_DUE_AT < :1"
    assert run(tank, text, "9999-01-01 00:00:00", types=(DATE,)) == [(580,)]
    with pytest.raises(OraError, match=r"ORA-01861|ORA-01858|ORA-01843"):
        run(tank, text, "9999-01-01", types=(varchar(10),))
