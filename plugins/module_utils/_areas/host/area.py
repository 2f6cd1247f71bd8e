# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The area host: its sources and its checks (manual 1, section 9; manual 2, sections 7 and 9)."""

from __future__ import annotations

from ..._core.check import Check
from ..._core.source import Source
from . import checks as _host_checks
from . import read as _host
from . import read_files as _host_files
from . import read_network as _host_net

CPU = Source("host.cpu", _host.read_cpu, ("cgroup", "cpu_window"), remember=_host_checks.remember_cpu)
MEMORY = Source("host.memory", _host.read_memory, ("cgroup",), remember=_host_checks.remember_memory)
DISKS = Source("host.disks", _host_files.read_disks, ("only", "paths", "log_folders"), remember=_host_checks.remember_disks)
LOG_FILES = Source("host.log_files", _host_files.read_logs, ("log_folders", "pm2_home", "user", "logrotate"))
CLOCK = Source("host.clock", _host_net.read_clock)
TIME_SERVER = Source("host.time_server", _host_net.read_time_server, ("ntp_server",))
CONNECTIONS = Source("host.connections", _host_net.read_connections, ("targets", "connect_within"))
LISTENERS = Source("host.listeners", _host_net.read_listeners, ("expected_ports", "among_ports"))

CHECKS = (
    Check("host.cpu", "Is the CPU busy or saturated for long, and by whom?", _host_checks.cpu, (CPU,), _host_checks.CPU_PARAMETERS),
    Check(
        "host.memory",
        "Is there memory left, and was anything killed for lack of it?",
        _host_checks.memory,
        (MEMORY,),
        _host_checks.MEMORY_PARAMETERS,
    ),
    Check(
        "host.disk",
        "Is any file system full, or will it be soon, and what grew?",
        _host_checks.disk,
        (DISKS,),
        _host_checks.DISK_PARAMETERS,
    ),
    Check("host.logs", "Are logs rotated, and kept from others?", _host_checks.logs, (LOG_FILES,), _host_checks.LOGS_PARAMETERS),
    Check("host.clock", "Is the clock right?", _host_checks.clock, (CLOCK, TIME_SERVER), _host_checks.CLOCK_PARAMETERS),
    Check(
        "host.outbound",
        "Can the places that the applications need be reached?",
        _host_checks.outbound,
        (CONNECTIONS,),
        _host_checks.OUTBOUND_PARAMETERS,
    ),
    Check("host.ports", "Is any port open to others that should not be?", _host_checks.ports, (LISTENERS,), _host_checks.PORTS_PARAMETERS),
)
