"""Where the replica keeps its things: all outside the checkout."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .system import APP_USER, ReplicaError, is_root

SOURCES = Path(__file__).resolve().parent
CHECKOUT = SOURCES.parent.parent
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}")


def base_folder() -> Path:
    """Folder of all instances and of the cache; TANK_REPLICA_BASE overrides it."""
    chosen = os.environ.get("TANK_REPLICA_BASE")
    if chosen:
        return Path(chosen).resolve()
    if is_root():
        return Path("/var/lib/tank-replica")
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "tank-replica"


@dataclass(frozen=True)
class Paths:
    """Folders and files of one instance."""

    base: Path
    name: str

    @classmethod
    def of(cls, name: str) -> Paths:
        if not _NAME.fullmatch(name) or name == "cache":
            raise ReplicaError(f"--name {name!r}: use small letters, digits, - and _ (not 'cache')")
        return cls(base_folder(), name)

    @property
    def cache(self) -> Path:
        return self.base / "cache"

    @property
    def lock(self) -> Path:
        return self.base / f"{self.name}.lock"

    @property
    def instance(self) -> Path:
        return self.base / self.name

    @property
    def app(self) -> Path:
        return self.instance / "opt" / "tank-mail-app"

    @property
    def env_file(self) -> Path:
        return self.app / "config" / ".env"

    @property
    def nginx_conf(self) -> Path:
        return self.app / "nginx" / "conf" / "nginx.conf"

    @property
    def tls(self) -> Path:
        """Certificate and key of the site."""
        return self.nginx_conf.parent / "tls"

    @property
    def home(self) -> Path:
        return self.instance / "home" / APP_USER

    @property
    def pm2_home(self) -> Path:
        return self.home / ".pm2"

    @property
    def nas_root(self) -> Path:
        return self.instance / "batch" / "report"

    @property
    def unit_dir(self) -> Path:
        return self.instance / "etc" / "systemd" / "system"

    @property
    def pg(self) -> Path:
        return self.instance / "pg"

    @property
    def oracle(self) -> Path:
        return self.instance / "oracle"

    @property
    def aws(self) -> Path:
        return self.instance / "aws"

    @property
    def nginx(self) -> Path:
        return self.instance / "nginx"

    @property
    def run(self) -> Path:
        return self.instance / "run"

    @property
    def facts_file(self) -> Path:
        return self.run / "replica.json"

    @property
    def made_file(self) -> Path:
        """Says from which sources the application part was made, and its ports."""
        return self.run / "made.json"

    @property
    def faults_file(self) -> Path:
        return self.run / "faults.json"
