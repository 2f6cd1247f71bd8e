"""Redis with 16 MB and no file of data: the account `monitor` may only PING and INFO; the default user has a password too."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...server_process import Started
from ...system import Account, clean_environment, give_to, is_root, run, write_private
from .. import Part, Place

MONITOR = "monitor"
_START_S = 10
_CONF = """\
bind 127.0.0.1
port {port}
daemonize no
dir {folder}
logfile ""
maxmemory 16mb
maxmemory-policy noeviction
save ""
requirepass {password}
user {monitor} on >{monitor_password} resetkeys resetchannels -@all +ping +info
"""


class Redis(Part):
    """A server with 16 MB that keeps nothing on the disk."""

    name = "redis"
    ports = ("redis",)
    programs = frozenset({"redis-server", "redis-check-rdb"})  # Debian's redis-server is a link to the other one

    def is_well(self, place: Place) -> bool:
        """Whether the checker's account gets an answer with the password in its file, from the server as configured."""
        files = _files(place)
        try:
            if _configuration(place) != files["conf"].read_text(encoding="utf-8"):
                return False
        except OSError:
            return False
        return _says(place, "PING", user=MONITOR) == "PONG" and "role:master" in _says(place, "INFO", "replication", user=MONITOR)

    def restore(self, place: Place) -> None:
        """Start it as delivered, unless it runs so."""
        if self.is_well(place):
            return
        from ...processes import end_all  # which needs the list of all parts

        end_all(place.folder, self.programs)
        files, account = _files(place), place.account
        place.folder.mkdir(parents=True, exist_ok=True)
        give_to(account, place.folder.parent, place.folder)
        for name in ("password", "made"):
            if not files[name].exists():
                write_private(files[name], secrets.token_hex(16), account)
        write_private(files["monitor"], files["made"].read_text(encoding="utf-8"), account)
        write_private(files["conf"], _configuration(place), account)
        started = _start(files["conf"], files["log"], account)
        started.wait_until(lambda: self.is_well(place), _START_S)

    def facts(self, place: Place) -> dict[str, Any]:
        """Where it listens, and where the passwords and the configuration are."""
        files = {name: str(path) for name, path in _files(place).items()}
        return {
            "host": "127.0.0.1",
            "port": place.ports["redis"],
            "user": MONITOR,
            "password_file": files["password"],
            "monitor_password_file": files["monitor"],
            "made_password_file": files["made"],
            "conf": files["conf"],
            "log": files["log"],
        }

    def variables(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """How the checks reach it."""
        return {
            "stack_redis_host": facts["host"],
            "stack_redis_port": facts["port"],
            "stack_redis_user": facts["user"],
            "stack_redis_login": {"file": facts["monitor_password_file"]},
        }


def _files(place: Place) -> dict[str, Path]:
    """The files by name: made is the password that monitor was made with, monitor the one that the checker knows."""
    names = {
        "password": "password",
        "made": "monitor-password.made",
        "monitor": "monitor-password",
        "conf": "redis.conf",
        "log": "redis.log",
    }
    return {name: place.folder / file for name, file in names.items()}


def _configuration(place: Place) -> str:
    files = _files(place)
    return _CONF.format(
        port=place.ports["redis"],
        folder=place.folder,
        password=files["password"].read_text(encoding="utf-8"),
        monitor=MONITOR,
        monitor_password=files["made"].read_text(encoding="utf-8"),
    )


def _says(place: Place, *command: str, user: str = "") -> str:
    """What the server answers to a command, "" for none; without a user, the default one asks."""
    try:
        password = _files(place)["monitor" if user else "password"].read_text(encoding="utf-8")
    except OSError:
        return ""
    who = ["--user", user] if user else []
    argv = ["redis-cli", "-h", "127.0.0.1", "-p", str(place.ports["redis"]), *who, "--no-auth-warning", *command]
    return run(argv, env=clean_environment(REDISCLI_AUTH=password), timeout=5).stdout.strip()


def _start(conf: Path, log: Path, account: Account) -> Started:
    identity = {"user": account.uid, "group": account.gid, "extra_groups": []} if is_root() and account.uid != 0 else {}
    write_private(log, "", account)  # of the account, which may start the server too
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            ["redis-server", str(conf)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=conf.parent,
            env=clean_environment(),
            umask=0o077,
            start_new_session=True,
            **identity,
        )
    return Started("Redis", process, log)


PART = Redis()
