"""Faults of LogsDB as those see it who use it."""

from __future__ import annotations

from collections.abc import Callable

from tests.replica.interface import CHECKER_HOST, LOGSDB_HOST, Replica
from tests.replica.pm2_processes import restart_and_settle

from ..breakage import Breakage

_WAIT_S = 30


def sql(replica: Replica, statement: str) -> str:
    """The answer to a statement of the application's role, without headers."""
    logsdb = replica.facts["logsdb"]
    target = f"host={logsdb['host']} port={logsdb['port']} user={logsdb['user']} dbname={logsdb['database']} connect_timeout=3"
    argv = [f"{logsdb['programs']}/psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", target, "-Atqc", statement]
    return replica.at(LOGSDB_HOST).must(argv, env={"PGPASSFILE": f"{_folder(replica)}/.pgpass"}).strip()


def _folder(replica: Replica) -> str:
    return str(replica.facts["logsdb"]["password_file"]).rpartition("/")[0]


def _server(replica: Replica) -> list[int]:
    """Pids of the server and of all its children."""
    first = replica.read(f"{replica.facts['logsdb']['data']}/postmaster.pid").split()[0]
    children = replica.run(["pgrep", "-P", first]).stdout.split()
    return [int(pid) for pid in (first, *children)]


def stop(replica: Replica) -> None:
    replica.stop_logsdb()


def start(replica: Replica) -> None:
    replica.start_logsdb()
    settle(replica)


def freeze(replica: Replica) -> None:
    """What a paused virtual machine or a hung storage is like: the port takes connections, nothing answers."""
    for pid in _server(replica):
        replica.signal(pid, "STOP")


def thaw(replica: Replica) -> None:
    for pid in reversed(_server(replica)):
        replica.signal(pid, "CONT")
    settle(replica)


def settle(replica: Replica) -> None:
    """Until the database answers and the worker, started anew, has made its first round."""
    replica.wait_until(lambda: sql_answers(replica), _WAIT_S, "LogsDB does not answer")
    restart_and_settle(replica, "backend", "worker")


def sql_answers(replica: Replica) -> bool:
    logsdb = replica.facts["logsdb"]
    return replica.run([f"{logsdb['programs']}/pg_isready", "-h", logsdb["host"], "-p", str(logsdb["port"]), "-t", "1"]).rc == 0


def spoil_password(replica: Replica) -> None:
    """The password was changed in the database and not where the checks find it."""
    path, replica = replica.facts["logsdb"]["monitor_password_file"], replica.at(CHECKER_HOST)
    replica.write(f"{path}.good", replica.read(path), 0o600)
    replica.write(path, "of-last-year", 0o600)


def mend_password(replica: Replica) -> None:
    path, replica = replica.facts["logsdb"]["monitor_password_file"], replica.at(CHECKER_HOST)
    if replica.exists(f"{path}.good"):
        replica.must(["mv", f"{path}.good", path])


def _logsdb(description: str, make: Callable[[Replica], None], clear: Callable[[Replica], None], variant: str = "") -> Breakage:
    return Breakage("logsdb.unreachable", "logsdb", description, "", make, clear, variant=variant)


BREAKAGES = (
    _logsdb("the database is stopped", stop, start),
    _logsdb("the database is frozen (SIGSTOP): it takes connections and says nothing", freeze, thaw, "frozen"),
    _logsdb("the account of the checks has another password now", spoil_password, mend_password, "password"),
)
