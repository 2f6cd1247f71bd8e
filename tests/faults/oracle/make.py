"""Faults of the customer's Oracle: its listener, its instance, its accounts, and how the application is told of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.replica.interface import APP_HOST, Replica
from tests.replica.logsdb import local_now
from tests.replica.oracle_part import APP_USER, delivered_targets
from tests.replica.pm2_processes import restart_and_settle

from ..breakage import Breakage
from ..logsdb.make import sql as logsdb_sql

_WAIT_S = 60
_SLOW_S = 4  # the product's target for 10,000 rows is 3 s
_LIMIT, _HELD = 20, 16  # sessions: with those of backend, worker and a check the limit is all but reached
_ANSWERED = "SELECT count(*) FROM job_queue WHERE auto_id = 1 AND status = 'DONE' AND start_at > '{}'"
_UNKNOWN_HOST = "oracle-db.invalid"
_UNKNOWN_SID = "ORCX"
_UNKNOWN_ALIAS = "TANKDB"
_NO_CLIENT = "/opt/oracle/instantclient_19_26"
# Another program's connections, held until it is ended.
_HOLD_SESSIONS = """
const oracledb = require(process.argv[1]);
const [user, password, connectString, count] = [process.env.HELD_USER, process.env.HELD_WORD, process.argv[2], Number(process.argv[3])];
(async () => {
  const held = [];
  while (held.length < count) {
    try {
      held.push(await oracledb.getConnection({ user, password, connectString }));
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100)); // the pools of the applications may have them all for a moment
    }
  }
  setInterval(() => held.length, 1000);
})();
"""


# What the worker says, and that it says nothing any more


def errors_since(replica: Replica) -> Callable[[str], bool]:
    """A question: has the worker logged this error since now?"""
    app = replica.at(APP_HOST)
    path = app.process("worker").error_log
    before = int(app.run(["stat", "-c", "%s", path]).stdout.strip() or 0)
    return lambda text: text in app.run(["tail", "-c", f"+{before + 1}", path]).stdout


def settle(replica: Replica, *more: str) -> None:
    """The worker, started anew, asks Oracle and gets an answer; `more` are other processes to restart."""
    restart_and_settle(replica, "worker", *more)
    answered = _ANSWERED.format(local_now())
    replica.wait_until(lambda: logsdb_sql(replica, answered) != "0", _WAIT_S, "the worker gets no answer from Oracle")


# The server


def on_server(kind: str, said: str, **options: Any) -> tuple[Callable[[Replica], None], Callable[[Replica], None]]:
    """Set and clear of a fault of the server, from which the worker logs `said` ("" where it notices nothing)."""

    def make(replica: Replica) -> None:
        logged = errors_since(replica)
        replica.oracle("fault.set", kind=kind, **options)
        _show(replica, logged, said)

    def clear(replica: Replica) -> None:
        replica.oracle("fault.clear", kind=kind)
        settle(replica)

    return make, clear


def _show(replica: Replica, logged: Callable[[str], bool], said: str) -> None:
    """End the sessions that are there, which know nothing of the fault, and wait for what the worker says."""
    replica.oracle("kill", immediate=True)
    if said:
        replica.wait_until(lambda: logged(said), _WAIT_S, f"worker has not logged {said!r}")


def near_the_limit(replica: Replica) -> None:
    """Another program with the application's account holds nearly all sessions that there may be."""
    replica.oracle("fault.set", kind="max_sessions", limit=_LIMIT)
    replica.oracle("kill", immediate=True)
    facts, app = replica.facts["oracle"], replica.at(APP_HOST)
    module = f"{replica.facts['app_dir']}/worker/node_modules/oracledb"
    where = f"{facts['host']}:{facts['port']}/{facts['service']}"
    argv = ["sh", "-c", 'setsid nohup node -e "$1" "$2" "$3" "$4" >/dev/null 2>&1 & echo $! >"$0"', _holder_file(replica)]
    words = {"HELD_USER": APP_USER, "HELD_WORD": replica.oracle_password(APP_USER)}
    app.must([*argv, _HOLD_SESSIONS, module, where, str(_HELD)], env=words)
    replica.wait_until(lambda: len(replica.oracle("status")["sessions"]) >= _HELD, _WAIT_S, "the sessions are not there")


def _holder_file(replica: Replica) -> str:
    return f"{replica.facts['home']}/session-holder.pid"


def let_go(replica: Replica) -> None:
    app = replica.at(APP_HOST)
    pid = app.run(["cat", _holder_file(replica)]).stdout.strip()
    if pid.isdigit():
        app.run(["kill", pid])
    app.remove(_holder_file(replica))
    replica.oracle("fault.clear", kind="max_sessions")
    settle(replica)


# The accounts


def on_account(said: str, **changes: Any) -> tuple[Callable[[Replica], None], Callable[[Replica], None]]:
    """Set and clear of a changed account of the application."""

    def make(replica: Replica) -> None:
        logged = errors_since(replica)
        replica.oracle("account", name=APP_USER, **changes)
        _show(replica, logged, said)

    return make, restore_account


def restore_account(replica: Replica) -> None:
    replica.oracle("restore", name=APP_USER)
    replica.oracle("kill", user=APP_USER, immediate=True)
    settle(replica)


def expire_soon(replica: Replica) -> None:
    """The grace time after the profile's lifetime of a password has begun."""
    expires = (local_now() + timedelta(days=5)).isoformat(" ", "seconds")
    on_account("", status="EXPIRED(GRACE)", expires_at=expires)[0](replica)


def take_right(right: str, table: str, said: str) -> Callable[[Replica], None]:
    """The owner of a table takes a right away from the application's account; customers are due who need it."""

    def make(replica: Replica) -> None:
        logged = errors_since(replica)
        replica.oracle("sql", statement=f"REVOKE {right} ON {table} FROM {APP_USER}")
        make_due(replica)
        _show(replica, logged, said)

    return make


def give_right(right: str, table: str) -> Callable[[Replica], None]:
    return lambda replica: replica.oracle("sql", statement=f"GRANT {right} ON {table} TO {APP_USER}") and None


def make_due(replica: Replica) -> None:
    """Some customers of the first automation, a REALTIME one, get a mail at once."""
    due = "UPDATE TARGET SET NEXT_DUE_AT = SYSDATE WHERE AUTO_ID = 1 AND TO_NUMBER(SUBSTR(CUST_ID, -3)) < 4"
    replica.oracle("sql", statement=due)


# How the application and the checks are told where Oracle is


def in_env(
    said: str, env: dict[str, str], targets: Callable[[dict[str, Any]], None] | None = None, **more: str
) -> Callable[[Replica], None]:
    """Set of a wrong configuration: lines of .env ("" takes one away), and the same in what the inventory says of targets and `more`."""

    def make(replica: Replica) -> None:
        app = replica.at(APP_HOST)
        path = replica.facts["env_file"]
        kept = [line for line in app.read(path).splitlines() if line.partition("=")[0] not in env]
        app.write(path, "\n".join([*kept, *(f"{key}={value}" for key, value in env.items() if value)]) + "\n", 0o600)
        told = delivered_targets(replica.facts["oracle"])
        if targets:
            for target in told:
                targets(target)
        password = env.get("ORACLE_PASS") or replica.oracle_password(APP_USER)
        replica.tell_checker({"stack_oracle_targets": told, **more}, password)
        logged = errors_since(replica)
        restart_and_settle(replica, "backend", "worker")
        replica.wait_until(lambda: logged(said), _WAIT_S, f"worker has not logged {said!r}")

    return make


def deliver_again(replica: Replica) -> None:
    replica.tell_checker({"stack_oracle_targets": delivered_targets(replica.facts["oracle"])}, replica.oracle_password(APP_USER))
    replica.deploy()
    settle(replica, "backend")


def mistype_password(replica: Replica) -> None:
    """A wrong password was written into .env. The account must stay open for the bench: the worker does not stop trying."""
    replica.oracle("fault.set", kind="failed_logins", limit=0)
    in_env("ORA-01017", {"ORACLE_PASS": f"of-last-year-{secrets.token_hex(4)}"})(replica)


def write_password_again(replica: Replica) -> None:
    deliver_again(replica)
    replica.oracle("fault.clear", kind="failed_logins")


def be_sys(replica: Replica) -> None:
    """Somebody gave the application the account SYS, which may only log in AS SYSDBA."""

    def told(target: dict[str, Any]) -> None:
        if target["user"] == APP_USER:
            target["user"] = "SYS"

    in_env("ORA-28009", {"ORACLE_USER": "SYS", "ORACLE_PASS": replica.oracle_password("SYS")}, told)(replica)


def _by_sid(target: dict[str, Any]) -> None:
    del target["service"]
    target["sid"] = _UNKNOWN_SID


def _by_alias(target: dict[str, Any]) -> None:
    for name in ("host", "port", "service"):
        del target[name]
    target["dsn"] = _UNKNOWN_ALIAS


def _oracle(
    code: str,
    description: str,
    pair: tuple[Callable[[Replica], None], Callable[[Replica], None]],
    variant: str = "",
    subject: str = "customers",
) -> Breakage:
    return Breakage(code, "oracle", description, subject, *pair, variant=variant)


BREAKAGES = (
    _oracle("ORA-12514", "the listener does not know the service", on_server("refuse", "NJS-518", code=12514)),
    _oracle(
        "ORA-12505",
        "a SID is configured that the listener does not know",
        (in_env("NJS-519", {"ORACLE_SERVICE": "", "ORACLE_SID": _UNKNOWN_SID}, _by_sid), deliver_again),
    ),
    _oracle("ORA-12518", "the listener cannot hand over a connection", on_server("refuse", "ORA-12518", code=12518)),
    _oracle("ORA-12518", "the listener finds no handler", on_server("refuse", "ORA-12516", code=12516), "12516"),
    _oracle("ORA-12518", "the listener finds no handler for dedicated servers", on_server("refuse", "ORA-12520", code=12520), "12520"),
    _oracle("ORA-12541", "the listener is down", on_server("listener", "NJS-503", state="down")),
    _oracle("ORA-12170", "a firewall drops what goes to the listener", on_server("listener", "NJS-510", state="blackhole")),
    _oracle(
        "ORA-12170", "the listener accepts and says nothing", on_server("stage", "NJS-510", stage="connect", mode="silent"), "listener"
    ),
    _oracle("ORA-12170", "the login gets no answer", on_server("stage", "NJS-040", stage="auth1", mode="silent"), "login"),
    _oracle("ORA-12537", "the connection is closed in the handshake", on_server("stage", "NJS-521", stage="connect", mode="close")),
    _oracle(
        "oracle.name_unknown",
        "a host name is configured that does not exist",
        (in_env("NJS-530", {"ORACLE_HOST": _UNKNOWN_HOST}, lambda target: target.update(host=_UNKNOWN_HOST)), deliver_again),
    ),
    _oracle(
        "oracle.tns_alias",
        "an alias is configured and there is no tnsnames.ora",
        (in_env("NJS-520", {"ORACLE_TNS": _UNKNOWN_ALIAS}, _by_alias), deliver_again),
    ),
    _oracle("ORA-01017", "a wrong password is configured", (mistype_password, write_password_again)),
    _oracle("ORA-28000", "the account is locked", on_account("ORA-28000", status="LOCKED")),
    _oracle("ORA-28001", "the password has expired", on_account("ORA-28001", status="EXPIRED")),
    _oracle("ORA-28009", "the application logs in as SYS", (be_sys, deliver_again)),
    _oracle("ORA-28002", "the password expires in five days", (expire_soon, restore_account)),
    _oracle("ORA-01034", "the instance is down", on_server("instance", "ORA-01034", state="down")),
    _oracle("ORA-01033", "the instance is starting", on_server("instance", "ORA-01033", state="starting")),
    _oracle("ORA-03113", "the connection breaks off in a query", on_server("stage", "NJS-500", stage="execute", mode="close")),
    _oracle(
        "oracle.no_privilege",
        "the account may not read the view of the targets",
        (take_right("SELECT", "TARGET_VIEW", "ORA-00942"), restore_account),
    ),
    _oracle(
        "oracle.no_privilege",
        "the account may not update the targets",
        (take_right("UPDATE", "TARGET", "ORA-01031"), restore_account),
        "update",
    ),
    _oracle("oracle.too_much_privilege", "the account is a DBA", on_account("", rights=["CREATE SESSION", "DBA"])),
    _oracle("oracle.too_much_privilege", "the account may delete targets", (give_right("DELETE", "TARGET"), restore_account), "delete"),
    _oracle("oracle.needs_thick", "the server is too old for thin mode", on_server("old_protocol", "NJS-138")),
    _oracle(
        "oracle.needs_thick", "the server demands native network encryption", on_server("encryption_required", "NJS-533"), "encryption"
    ),
    _oracle(
        "oracle.instant_client_missing",
        "an Instant Client is configured that is not installed",
        (in_env("DPI-1047", {"ORACLE_CLIENT_LIB_DIR": _NO_CLIENT}, stack_oracle_lib_dir=_NO_CLIENT), deliver_again),
    ),
    _oracle("oracle.slow", "the target query takes too long", on_server("slow_query", "", seconds=_SLOW_S, match="TARGET_VIEW")),
    _oracle("oracle.slow", "the login takes too long", on_server("stage", "", stage="auth2", mode="slow", seconds=_SLOW_S), "login"),
    _oracle("oracle.pool_exhausted", "nearly all sessions are held", (near_the_limit, let_go), subject="monitor"),
)
