#!/usr/bin/env python3
# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory of the replica: its ports and folders are found when it starts, so they are read from its facts.

TANK_REPLICA_NAME and TANK_REPLICA_BASE choose the instance, as they do for tests/replica/replica. One in containers has a host
for each part; TANK_REPLICA_CONNECTION=ssh reaches them as a user with sudo instead of through the container engine.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.replica.host_parts import facts_of as host_parts
from tests.replica.parts import variables as variables_of_parts
from tests.replica.paths import CHECKOUT, Paths

# The connection plugins that reach a container through its engine.
_PLUGINS = {"podman": "containers.podman.podman", "docker": "community.docker.docker"}
# Where collections may lie: what `make setup-containers` fetches, what ansible-galaxy installs, and the Python package `ansible`.
COLLECTIONS = (CHECKOUT / ".cache/collections", "~/.ansible/collections", "/usr/share/ansible/collections", *sys.path)


def app_host(facts: dict, host: dict, state_dir: Path) -> dict:
    """Return the variables of the host that runs the applications."""
    return {
        "stack_areas": [
            "pm2",
            "backend",
            "worker",
            "logsdb",
            "oracle",
            "nas",
            "attachments",
            *(["ses"] if facts["ses"] else []),
            *(["host"] if host else []),
            *variables_of_parts(facts),
        ],
        "stack_pm2_home": facts["pm2_home"],
        "stack_pm2_user": facts["user"],
        "stack_pm2_processes": [process["name"] for process in facts["processes"]],
        "stack_pm2_unit_dir": facts["unit_dir"],
        "stack_app_dir": facts["app_dir"],
        # The page lies in the same folder, so it is this host that is backed up and rolled back, and not tank-web.
        "stack_release_parts": ["backend", "worker", "frontend", "env"],
        "stack_env_file": facts["env_file"],
        "stack_health_url": facts["health_url"],
        "stack_state_dir": str(state_dir),
        "stack_checker_state_dir": f"{state_dir}-checker",
        # The replica's scheduler makes a round every 5 s.
        "stack_worker_least_silence": 20,
        **logsdb(facts["logsdb"]),
        **oracle(facts["oracle"]),
        **ses(facts["ses"]),
        **storage(facts),
        **machine(facts, host),
        **{name: value for found in variables_of_parts(facts).values() for name, value in found.items()},
        **({"daily_check_off": off} if (off := without(facts, host)) else {}),
    }


def web_host(facts: dict, state_dir: Path) -> dict:
    """Return the variables of the host that serves the page: the same machine under another name."""
    nginx = facts["nginx"]
    return {
        "stack_areas": ["nginx", "web"],
        "stack_nginx_executable": nginx["executable"],
        "stack_nginx_conf": nginx["conf"],
        "stack_nginx_prefix": nginx["prefix"],
        "stack_nginx_status_url": f"{facts['web_url']}nginx_status",
        "stack_web_url": facts["web_url"],
        "stack_web_build_dir": facts["build_dir"],
        "stack_web_certificate_url": facts["web_tls_url"],
        "stack_web_certificate_files": [nginx["certificate"]],
        "stack_web_ca_file": nginx["certificate"],
        "stack_state_dir": f"{state_dir}-web",
    }


def logsdb(facts: dict, host: str = "") -> dict:
    """Return how the checker reaches LogsDB: with an account that may only read, its password in a file."""
    return {
        "stack_logsdb_dialect": "postgresql",
        "stack_logsdb_host": host or facts["host"],
        "stack_logsdb_port": facts["port"],
        "stack_logsdb_database": facts["database"],
        "stack_logsdb_user": facts["monitor_user"],
        "stack_logsdb_login": {"file": facts["monitor_password_file"]},
        "stack_logsdb_timezone": "Asia/Seoul",
    }


def oracle(facts: dict) -> dict:
    """Return how the checker reaches Oracle, from the file that the replica keeps: faults of configuration change it."""
    return json.loads(Path(facts["variables_file"]).read_text(encoding="utf-8"))


def ses(facts: dict) -> dict:
    """Return how the checker reaches SES, from the file that the replica keeps; nothing where there is none."""
    return json.loads(Path(facts["variables_file"]).read_text(encoding="utf-8")) if facts else {}


def storage(facts: dict) -> dict:
    """Return where the attachments are, what is wanted, and what the batch logs; where the NAS is a plain folder, it is no mount."""
    nas = facts["nas_root"]
    mount = {"stack_nas_mounts": [{"path": nas, "source": facts["nas_source"]}]} if facts["nas_source"] else {"stack_nas_read_only": False}
    return {
        **mount,
        "stack_attachment_roots": [f"{nas}/AC/statement/%Y%m%d"],
        "stack_attachment_wanted_file": f"{facts['app_dir']}/export/targets-%Y%m%d.csv",
        "stack_attachment_group_column": "ORG_ID",
        "stack_attachment_batch_log": f"{facts['batch_log_folder']}/statement-%Y%m%d.log",
    }


def without(facts: dict, host: dict) -> list[str]:
    """Return the checks of what the replica could not make without root: file systems and a cgroup of its own."""
    storage_checks = [] if facts["nas_source"] else ["nas.disk"]
    if not host:
        return storage_checks
    return [*storage_checks, *([] if host["volume"] else ["host.disk"]), *([] if host["cgroup"] else ["host.cpu", "host.memory"])]


def machine(facts: dict, host: dict) -> dict:
    """Return what the area host looks at: the replica's own parts, since this machine does other work too.

    The window is the shortest and the limit for the CPU a lower one, so that the fault bench need not wait for minutes.
    """
    if not host:
        return {}
    nginx, app = os.path.dirname(facts["nginx"]["access_log"]), facts["app_dir"]
    own = [str(port) for port in facts["ports"].values()]
    return {
        "stack_host_cgroup": host["cgroup"] or None,
        "stack_host_cpu_percent": 60,
        "stack_host_cpu_window": 10,
        "stack_host_mounts": [host["volume"]] if host["volume"] else None,
        "stack_host_log_folders": [f"{app}/backend/logs", f"{app}/worker/logs", nginx, host["log_folder"]],
        "stack_host_ntp_server": f"127.0.0.1:{host['time_port']}",
        "stack_host_clock_synchronised": False,
        "stack_host_outbound": [f"127.0.0.1:{port}" for port in (facts["ports"]["logsdb"], host["peer_port"])],
        "stack_host_expected_ports": own,
        "stack_host_ports": [*own, str(host["spare_port"])],
    }


def container_hosts(facts: dict, checker_state_dir: Path) -> dict:
    """Return the hosts of a replica in containers: laid out as at a customer's, so that most variables keep their defaults."""
    app = {
        "stack_areas": ["pm2", "backend", "worker", "logsdb", "oracle", "nas", "attachments", "host"],
        "stack_pm2_home": facts["pm2_home"],
        "stack_pm2_user": facts["user"],
        "stack_pm2_processes": [process["name"] for process in facts["processes"]],
        "stack_app_dir": facts["app_dir"],
        "stack_release_parts": ["backend", "worker", "env"],
        "stack_env_file": facts["env_file"],
        "stack_health_url": facts["health_url"],
        "stack_checker_state_dir": str(checker_state_dir),
        "stack_worker_least_silence": 20,
        **logsdb(facts["logsdb"], facts["hosts"]["logsdb"]["address"]),
        **oracle(facts["oracle"]),
        **storage(facts),
        **container_machine(facts, "app"),
    }
    web = {
        "stack_areas": ["nginx", "web", "host"],
        "stack_app_dir": facts["app_dir"],
        "stack_release_parts": ["frontend"],
        "stack_nginx_status_url": f"{facts['web_url']}nginx_status",
        "stack_web_url": facts["web_url"],
        "stack_web_build_dir": facts["build_dir"],
        "stack_web_certificate_url": facts["web_tls_url"],
        "stack_web_certificate_files": [facts["nginx"]["certificate"]],
        "stack_web_ca_file": facts["nginx"]["certificate"],
        **container_machine(facts, "web"),
    }
    database = {"stack_areas": ["host"], **container_machine(facts, "logsdb")}
    return {
        f"tank-{host}": {**variables, **connection(facts, host)} for host, variables in (("app", app), ("web", web), ("logsdb", database))
    }


def container_machine(facts: dict, host: str) -> dict:
    """Return what the area host looks at; here every host is a machine of its own."""
    parts, ports = facts["host_parts"], facts["ports"]
    own = {"app": [ports["backend"]], "web": [ports["web"], ports["web_tls"]], "logsdb": [ports["logsdb"], parts["peer_port"]]}[host]
    shared = {
        "stack_host_mounts": [parts["volume"]],
        "stack_host_clock_synchronised": False,
        "stack_host_expected_ports": [str(port) for port in (*own, ports["ssh"])],
    }
    if host != "app":
        # They have no limits and no time server of their own: these would be of the machine that the containers share.
        return {**shared, "daily_check_off": ["host.cpu", "host.memory", "host.clock"]}
    return {
        **shared,
        "stack_host_cpu_percent": 60,
        "stack_host_cpu_window": 10,
        "stack_host_log_folders": [f"{facts['app_dir']}/backend/logs", f"{facts['app_dir']}/worker/logs", parts["log_folder"]],
        "stack_host_ntp_server": f"127.0.0.1:{parts['time_port']}",
        "stack_host_outbound": [f"{parts['peer_host']}:{port}" for port in (ports["logsdb"], parts["peer_port"])],
    }


def connection(facts: dict, host: str) -> dict:
    """Return how a host is reached: through the container engine as root, or by SSH as a user who may use sudo."""
    reached, ssh = facts["hosts"][host], facts["ssh"]
    if os.environ.get("TANK_REPLICA_CONNECTION") == "ssh":
        return {
            "ansible_connection": "ssh",
            "ansible_host": reached["address"],
            "ansible_user": ssh["user"],
            "ansible_ssh_private_key_file": ssh["key"],
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={ssh['known_hosts']} -o IdentitiesOnly=yes",
            "ansible_become": True,
        }
    plugin = _PLUGINS[facts["engine"]]
    found = {"ansible_connection": plugin, "ansible_host": reached["container"]}
    return {**found, "ansible_podman_executable": facts["engine_executable"]} if facts["engine"] == "podman" else found


def missing_plugin(facts: dict, usual: Sequence[str | Path] = COLLECTIONS) -> str:
    """Return why the hosts cannot be reached through the container engine, "" when they can, or SSH reaches them.

    usual: folders with collections besides those in ANSIBLE_COLLECTIONS_PATH.
    """
    collection = _PLUGINS[facts["engine"]].rpartition(".")[0]
    folders = [*filter(None, os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":")), *usual]
    inside = Path("ansible_collections", *collection.split("."))
    by_ssh = os.environ.get("TANK_REPLICA_CONNECTION") == "ssh"
    if by_ssh or any((Path(folder).expanduser() / inside).is_dir() for folder in folders):
        return ""
    how = f"TANK_CONTAINER_ENGINE={facts['engine']} make setup-containers fetches it, or TANK_REPLICA_CONNECTION=ssh does without"
    return f"the collection {collection} is missing, which has the connection plugin; {how}"


def main() -> int:
    """Print the inventory."""
    paths = Paths.of(os.environ.get("TANK_REPLICA_NAME", "default"))
    instance = paths.instance
    path = instance / "run" / "replica.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"inventories/replica: {path} cannot be read ({error}); start the replica with: tests/replica/replica up", file=sys.stderr)
        return 1
    if facts["kind"] == "containers":
        missing = missing_plugin(facts)
        if missing:
            print(f"inventories/replica: {missing}", file=sys.stderr)
            return 1
        hosts = container_hosts(facts, instance / "state-checker")
        shared = {"ansible_python_interpreter": "/usr/bin/python3", "stack_site": "replica"}
        print(json.dumps({"tank": {"hosts": list(hosts), "vars": shared}, "_meta": {"hostvars": hosts}}))
        return 0
    hosts = {"tank-app": app_host(facts, host_parts(paths), instance / "state"), "tank-web": web_host(facts, instance / "state")}
    # The distribution's Python, as on a customer's host: every user can read it, whoever a check becomes.
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    shared = {"ansible_connection": "local", "ansible_python_interpreter": python, "stack_site": "replica"}
    print(json.dumps({"tank": {"hosts": list(hosts), "vars": shared}, "_meta": {"hostvars": hosts}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
