# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver: python-oracledb, thin by default, thick where Instant Client's folder is given; and whether Instant Client is right.

The driver is imported where the reading begins: it needs a newer Python than managed hosts have to have.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._core import children
from ..._core.errors import DriverMissing
from .outcome import full_code, said
from .targets import Target

OLDEST = (2, 0)  # of the driver
PYTHON = "3.10"  # needed by its current releases
PROGRAM = "ops.remediation"  # what V$SESSION shows
_PACKETS = "PYO_DEBUG_PACKETS"  # prints every packet, the login's too
_LIBRARY = "libclntsh.so*"
_USUAL = ("/opt/oracle/instantclient*", "/usr/lib/oracle/*/client64/lib", "/usr/lib/oracle/*/client/lib")
_LDCONFIG = ("/sbin/ldconfig", "-p")
_LDCONFIG_SECONDS = 2.0
_MODES = {
    "default": "AUTH_MODE_DEFAULT",
    "sysdba": "AUTH_MODE_SYSDBA",
    "sysoper": "AUTH_MODE_SYSOPER",
    "sysbackup": "AUTH_MODE_SYSBKP",
    "sysdg": "AUTH_MODE_SYSDGD",
    "syskm": "AUTH_MODE_SYSKMT",
    "sysrac": "AUTH_MODE_SYSRAC",
}


@dataclass(frozen=True)
class Driver:
    """The loaded driver. ``problem``: why thick mode, which lib_dir requests, is not available (see :func:`instant_client`)."""

    module: Any
    mode: str = "thin"
    problem: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name, release and mode."""
        return f"python-oracledb {self.module.__version__} ({self.mode})"


def load(lib_dir: str | None = None) -> Driver:
    """Import the driver; with lib_dir in thick mode. Raises DriverMissing."""
    os.environ.pop(_PACKETS, None)
    if importlib.util.find_spec("oracledb") is None:
        raise _missing("does not have it")
    try:
        import oracledb
    except ImportError as error:
        raise _missing(f"cannot load it ({error})") from error
    version = tuple(int(part) for part in re.findall(r"\d+", oracledb.__version__)[:2])
    if version < OLDEST:
        raise _missing(f"has release {oracledb.__version__}, and {'.'.join(map(str, OLDEST))} or newer is needed")
    if hasattr(oracledb, "defaults") and hasattr(oracledb.defaults, "program"):
        oracledb.defaults.program = PROGRAM
    if not lib_dir:
        if hasattr(oracledb, "enable_thin_mode"):
            # Before the mode is settled, connections that threads open wait for one another.
            oracledb.enable_thin_mode()
        return Driver(oracledb)
    try:
        oracledb.init_oracle_client(lib_dir=lib_dir)
    except oracledb.Error as error:
        problem = {"driver_code": full_code(error), "said": said(error), **instant_client(lib_dir)}
        return Driver(oracledb, "thick", problem)
    return Driver(oracledb, "thick")


def _missing(why: str) -> DriverMissing:
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return DriverMissing(
        f"Oracle needs the package oracledb, and {sys.executable} (Python {own}) {why}; its current releases need Python {PYTHON} or newer",
        libraries=["oracledb"],
        install=f"{sys.executable} -m pip install 'oracledb>=3.4'",
        python=PYTHON,
        own_python=own,
        fits=sys.version_info[:2] >= (3, 10),
    )


def parameters(driver: Driver, target: Target) -> Any:
    """Return the driver's parameters of a target, without the password. Raises the driver's error for a dsn that leads nowhere."""
    module = driver.module
    options: dict[str, Any] = {
        "mode": getattr(module, _MODES[target.mode]),
        "ssl_server_dn_match": target.match_certificate,
    }
    options.update({name: getattr(target, name) for name in ("config_dir", "wallet_location", "wallet_password") if getattr(target, name)})
    if target.dsn:
        made = module.ConnectParams(**options)
        made.parse_connect_string(target.dsn)
        made.set(retry_count=0)
        return made
    place = {"service_name": target.service} if target.service else {"sid": target.sid}
    return module.ConnectParams(host=target.host, port=target.port, protocol=target.protocol, **place, **options, retry_count=0)


def places(made: Any) -> tuple[list[tuple[str, int]], str]:
    """Return hosts and ports that the driver's parameters name, and the protocol of the first."""
    hosts, ports, protocols = (value if isinstance(value, list) else [value] for value in (made.host, made.port, made.protocol))
    return [(str(host), int(port)) for host, port in zip(hosts, ports) if host], str(protocols[0] or "tcp").lower()


def connect(driver: Driver, target: Target, made: Any) -> Any:
    """Log in and return the connection. Nothing limits the wait for the peer: call it where it can be abandoned."""
    return driver.module.connect(user=target.user, password=target.password, params=made)


# --- Instant Client


def instant_client(lib_dir: str | None = None, within: float = _LDCONFIG_SECONDS) -> dict[str, Any]:
    """Return which parts of Oracle's Instant Client this machine has.

    ``folders`` that hold the client's library; ``lib_dir`` as given and whether it ``holds_library``; whether such a folder is
    in this process's ``ld_library_path`` or ``known_to_the_loader`` (None when that is unknown), which the client's own
    libraries need; whether ``libaio`` is there.
    """
    search = [part for part in os.environ.get("LD_LIBRARY_PATH", "").split(":") if part]
    loader = _known_to_the_loader(min(within, _LDCONFIG_SECONDS))
    usual = [path for pattern in _USUAL for path in sorted(glob.glob(pattern))]
    folders = list(dict.fromkeys(path for path in ([lib_dir] if lib_dir else []) + search + usual if _holds(path)))
    facts: dict[str, Any] = {
        "folders": folders,
        "ld_library_path": any(_same(path, folder) for path in search for folder in folders),
        "known_to_the_loader": None if loader is None else any("libclntsh.so" in line for line in loader),
        "libaio": None if loader is None else any("libaio.so" in line for line in loader),
    }
    return {**facts, "lib_dir": lib_dir, "holds_library": _holds(lib_dir)} if lib_dir else facts


def _holds(folder: str) -> bool:
    return bool(glob.glob(os.path.join(glob.escape(folder), _LIBRARY)))


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _known_to_the_loader(seconds: float) -> Sequence[str] | None:
    """Return the lines of the dynamic loader's cache, None when ldconfig fails."""
    try:
        listed = children.run(_LDCONFIG, deadline=seconds)
    except OSError:
        return None
    return None if listed.timed_out or listed.code else listed.stdout.splitlines()
