# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a machine: texts of the kernel as they are and as they should never be, folders, sockets, time servers."""

from __future__ import annotations

import gzip
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ops.remediation.plugins.module_utils._areas.host import (
    cgroups,
    counters,
    logrotate,
    processes,
    read_clock,
    read_connections,
    read_cpu,
    read_disks,
    read_listeners,
    read_log_files,
    read_memory,
)
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._shared import kernel_log, proc
from ansible_collections.ops.remediation.plugins.module_utils._shared import mounts as _mounts
from ansible_collections.ops.remediation.plugins.module_utils._shared import series as _host_series
from ansible_collections.ops.remediation.plugins.modules import host_check
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

NOW = 1_800_000_000.0
ALL = "0.0.0.0"  # noqa: S104 - a port that others can reach
MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
28 27 254:16 / /batch\\040files rw - xfs /dev/vdb rw
29 27 254:16 /sub /srv rw shared:1 - xfs /dev/vdb rw
30 27 7:0 / /snap/core/1 ro,nodev - squashfs /dev/loop0 ro
31 27 0:50 / /nas rw - nfs4 server:/export rw
32 27 0:51 / /home/a rw - fuse.sshfs a@b: rw
33 27 0:52 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
34 27 254:32 / /boot ro,relatime - ext4 /dev/vdc ro
35 27 0:53 / /tmp rw - tmpfs tmpfs rw
36 27 0:54 /a /data rw - btrfs /dev/vdd rw
37 27 0:55 /b /more rw - btrfs /dev/vdd rw
38 27 0:56 / /srv rw - autofs systemd-1 rw
"""


def mounts():
    return _mounts.parse_mounts(MOUNTS)


def chosen(only=(), paths=()):
    found, missing = _mounts.choose_mounts(mounts(), only, paths)
    return sorted(entry["mount"] for entry in found), missing


def test_local_file_systems_are_asked_each_once():
    assert chosen() == (["/", "/batch files", "/data"], [])


def test_others_are_asked_by_name():
    assert chosen(paths=["/nas/report/2026", "/tmp/x"]) == (["/", "/batch files", "/data", "/nas", "/tmp"], [])
    assert chosen(only=["/tmp/", "/gone"]) == (["/tmp"], ["/gone"])


def test_a_container_has_its_overlay():
    found, _missing = _mounts.choose_mounts(_mounts.parse_mounts("1 0 0:9 / / rw - overlay overlay rw\n"), [], [])
    assert [entry["mount"] for entry in found] == ["/"]


def test_a_disk_is_read_as_df_reads_it(tmp_path):
    (entry,) = read_disks.read_disks(only=["/"])["disks"]
    shown = subprocess.run(["df", "-k", "--output=pcent,iused", "/"], capture_output=True, text=True, check=True).stdout.split()
    percent = 100 * entry["used"] / (entry["used"] + entry["free"])
    assert abs(percent - int(shown[2].rstrip("%"))) <= 1.5


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("worker.log", ""),
        ("worker.log.1", "worker.log"),
        ("worker.log.2.gz", "worker.log"),
        ("worker.log-20261121", "worker.log"),
        ("worker.log-20261121.gz", "worker.log"),
        ("worker.log-2026-11-21", "worker.log"),
        ("worker-2026-11-21.log", "worker.log"),
        ("worker-out__2026-11-21_00-00-00.log", "worker-out.log"),
        ("access.log.old", "access.log"),
        ("messages", ""),
        ("messages-20261121", "messages"),
    ],
)
def test_rotated_parts_know_their_log(name, base):
    assert logrotate.rotated_from(name) == base


def test_patterns_of_logrotate():
    text = """\
# a comment { /not/this
include /etc/logrotate.d
weekly
/var/log/nginx/*.log /opt/a.log {
    postrotate
        /usr/bin/true
    endscript
}
"/var/log/with space/*.log"
/var/log/two
{
    rotate 4
}
"""
    assert logrotate.parse_rules(text) == ["/var/log/nginx/*.log", "/opt/a.log", "/var/log/with space/*.log", "/var/log/two"]


def test_log_folders(tmp_path):
    tmp_path.chmod(0o755)
    folder = tmp_path / "logs"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "a.log").write_text("2026-01-02 03:04:05 begin\n")
    (folder / "a.log").chmod(0o644)
    (folder / "a.log.1.gz").write_bytes(gzip.compress(b"x"))
    (folder / "a.log.1.gz").chmod(0o600)
    (folder / "b.log").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.log")
    rules = tmp_path / "rules"
    rules.write_text(f"{folder}/a.log {{\n}}\n")
    answer = read_log_files.read_logs([str(folder), str(tmp_path / "gone")], logrotate=[str(rules)])
    first, second = answer["folders"]
    files = {entry["name"]: entry for entry in first["files"]}
    assert sorted(files) == ["a.log", "a.log.1.gz"]
    assert files["a.log"]["ruled"] and files["a.log.1.gz"]["ruled"]
    assert files["a.log"]["oldest"] == time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1))
    assert (files["a.log"]["mode"], files["a.log.1.gz"]["base"]) == ("0644", "a.log")
    assert second["problem"] == "No such file or directory"


def test_sizes_of_folders(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "large").write_bytes(b"x" * 200_000)
    (tmp_path / "small").write_bytes(b"x")
    found, *rest = read_disks.folder_sizes([str(tmp_path), str(tmp_path / "gone")])
    assert rest == []
    assert found["whole"]
    assert found["largest"][0]["name"] == "a/b/large"
    assert 200_000 <= found["size"] < 300_000


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("2026-11-21T01:02:03.123+09:00 x", None),
        ("[Nest] 99  - 11/21/2026, 7:16:12 AM     LOG x", (2026, 11, 21, 7, 16, 12)),
        ('1.2.3.4 - - [21/Nov/2026:07:16:12 +0900] "GET /', (2026, 11, 21, 7, 16, 12)),
        ("2026/11/21 07:16:12 [error] 1#1: x", (2026, 11, 21, 7, 16, 12)),
        ("nothing here", ()),
        ("2026-99-99 99:99:99", ()),
    ],
)
def test_the_first_date_of_a_log(line, parts):
    found = read_log_files.date_in(f"{line}\n", NOW)
    wanted = time.mktime((*parts, 0, 0, -1)) if parts else None if parts == () else 1795190523.0
    assert found == wanted


# --- /proc


def test_this_machine(tmp_path):
    cpu, memory = read_cpu.read_cpu(), read_memory.read_memory()
    assert cpu["used"] > 0
    assert memory["total"] > memory["available"] > 0
    assert read_clock.read_clock()["synchronised"] in (True, False, None)
    # Two looks a moment apart: no waiting in between, and counters that do not go back.
    again = read_cpu.read_cpu()
    assert again["used"] >= cpu["used"]


def test_a_machine_without_proc(monkeypatch, tmp_path):
    for module in (counters, processes, read_cpu, read_memory, read_listeners):
        monkeypatch.setattr(module, "PROC", str(tmp_path))
    for read in (read_cpu.read_cpu, read_memory.read_memory, read_listeners.read_listeners):
        with pytest.raises(CannotRead):
            read()


@pytest.mark.parametrize("group", ["../..", "no/such/group", "a\0b"])
def test_a_cgroup_that_is_none(group):
    with pytest.raises(WrongQuestion):
        read_cpu.read_cpu(group)


@pytest.fixture
def groups(monkeypatch, tmp_path):
    monkeypatch.setattr(cgroups, "CGROUPS", str(tmp_path))

    def write(**files):
        for name, text in files.items():
            path = tmp_path.joinpath(*name.split("__"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(path.name.replace("_of_", ".")).write_text(text)

    return write


def test_cgroups_of_version_2(groups):
    groups(cgroup_of_controllers="cpu memory\n", tank__cpu_of_max="50000 100000\n", tank__cgroup_of_procs=f"{os.getpid()}\n")
    groups(tank__cpu_of_stat="usage_usec 2500000\nnr_periods 10\nnr_throttled 4\n", tank__memory_of_max="1048576\n")
    groups(tank__memory_of_current="524288\n", tank__memory_of_stat="inactive_file 4096\n", tank__memory_of_events="oom 1\noom_kill 2\n")
    cpu, memory = read_cpu.read_cpu("/tank"), read_memory.read_memory("tank/")
    assert (cpu["scope"], cpu["cores"], cpu["used"], cpu["throttled"]) == ("cgroup", 0.5, 2.5, 4)
    assert [process["pid"] for process in cpu["processes"]] == [os.getpid()]
    assert (memory["total"], memory["available"], memory["kills"]) == (1048576, 1048576 - 524288 + 4096, 2)


def test_the_quota_of_a_container_of_version_1(groups):
    groups(cpu__cpu_of_cfs_quota_us="150000\n", cpu__cpu_of_cfs_period_us="100000\n", cpuacct__cpuacct_of_usage="7000000000\n")
    cpu = read_cpu.read_cpu()
    assert (cpu["scope"], cpu["cores"], cpu["used"]) == ("cgroup", 1.5, 7.0)


def test_no_quota_is_the_machine(groups):
    groups(cpu__cpu_of_cfs_quota_us="-1\n", cpu__cpu_of_cfs_period_us="100000\n", cpuacct__cpuacct_of_usage="7000000000\n")
    groups(memory__memory_of_limit_in_bytes="9223372036854771712\n")
    assert (read_cpu.read_cpu()["scope"], read_memory.read_memory()["scope"]) == ("machine", "machine")


def test_kills_in_the_kernels_words():
    lines = [
        (1.0, "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),oom_memcg=/tank,task_memcg=/tank/a,task=node,pid=77,uid=0"),
        (2.0, "Memory cgroup out of memory: Killed process 77 (node) total-vm:1kB"),
        (3.0, "Out of memory: Kill process 78 (java (x)) score 900 or sacrifice child"),
        (4.0, "nothing of that kind"),
    ]
    assert kernel_log.parse_kills(lines) == [
        {"at": 2.0, "pid": 77, "name": "node", "group": "/tank/a"},
        {"at": 3.0, "pid": 78, "name": "java (x", "group": ""},
    ]


def test_a_text_log_stands_in_for_the_kernels(monkeypatch, tmp_path):
    stamp = time.strftime("%b %e %H:%M:%S", time.localtime(time.time() - 60))
    log = tmp_path / "kern.log"
    log.write_text(f"{stamp} host kernel: Out of memory: Killed process 7 (node) total\n")
    monkeypatch.setattr(kernel_log, "KERNEL_MESSAGES", str(tmp_path / "none"))
    monkeypatch.setattr(kernel_log, "KERNEL_LOGS", (str(log),))
    answer = read_memory.read_memory()
    assert (answer["killed"][0]["pid"], answer["killed_in"]) == (7, str(log))
    assert 55 < time.time() - answer["killed"][0]["at"] < 65
    monkeypatch.setattr(kernel_log, "KERNEL_LOGS", ())
    assert read_memory.read_memory()["killed"] is None


def test_a_process_says_its_script_and_no_other_argument():
    command = [sys.executable, "-c", "import time; time.sleep(30)", "--password=planted", "worker.js"]
    child = subprocess.Popen(command)
    try:
        time.sleep(0.1)
        said = proc.label(child.pid, "python3")
    finally:
        child.kill()
        child.wait()
    assert said == "python3 (worker.js)"


# --- sockets


def test_listeners_are_those_of_others():
    text = (
        "  sl  local_address rem_address   st\n"
        "   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1\n"
        "   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1\n"
        "   2: 00000000:1F91 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 13 1\n"
        "   3: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0  33        0 14 1\n"
        "   4: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 0:0 00:0 0  33        0 15 1\n"
    )
    found = {entry["port"]: (entry["address"], entry["loopback"]) for entry in read_listeners.parse_listeners(text)}
    if sys.byteorder == "little":
        assert found == {22: ("127.0.0.1", True), 8080: (ALL, False), 80: ("::1", True), 81: ("::ffff:127.0.0.1", True)}


def test_our_own_port_is_seen_with_its_process():
    with socket.socket() as server:
        server.bind((ALL, 0))
        server.listen()
        port = server.getsockname()[1]
        entry = next(one for one in read_listeners.read_listeners()["open"] if one["port"] == port)
    assert entry["pid"] == os.getpid()


def test_connections_are_told_apart():
    with socket.socket() as full, socket.socket() as server:
        for one in (full, server):
            one.bind(("127.0.0.1", 0))
        server.listen()
        full.listen(0)
        held = []
        for _number in range(4):  # a full backlog: the kernel drops what comes next
            extra = socket.socket()
            extra.setblocking(False)
            extra.connect_ex(full.getsockname())
            held.append(extra)
        targets = [f"127.0.0.1:{server.getsockname()[1]}", f"127.0.0.1:{full.getsockname()[1]}", "127.0.0.1:1", "no.such.invalid:443"]
        began = time.monotonic()
        answers = read_connections.read_connections(targets, 0.5)
        took = time.monotonic() - began
        for extra in held:
            extra.close()
    assert [answer["state"] for answer in answers][:3] == ["open", "timeout", "refused"]
    assert answers[3]["state"] in ("name", "name_timeout")
    assert took < 3


@pytest.mark.parametrize("given_target", ["", "host", "host:0", "host:99999", "host:x", "user@host:1", "a b:1", "[::1", 7, None])
def test_a_target_that_is_none(given_target):
    with pytest.raises(WrongQuestion):
        read_connections.parse_targets([given_target])


def test_targets():
    assert read_connections.parse_targets(["a.example:443", "[::1]:1521", "a.example:443"]) == [("a.example", 443), ("::1", 1521)]
    with pytest.raises(WrongQuestion):
        read_connections.parse_targets([f"a:{port}" for port in range(1, 30)])


# --- time servers


def stamp(moment):
    return struct.pack("!II", (int(moment) + read_clock.NTP_EPOCH) % (1 << 32), int(moment % 1 * (1 << 32)))


def reply(question, *, offset=0.0, first=0x24, stratum=2, nonce=None):
    now = time.time() + offset
    return struct.pack("!BBbb", first, stratum, 6, -20) + bytes(20) + (nonce or question[40:48]) + stamp(now) + stamp(now)


@contextmanager
def time_server(answer):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(5)

    def serve():
        for _number in range(2):
            try:
                question, client = server.recvfrom(512)
            except OSError:
                return
            data = answer(question)
            if data is not None:
                server.sendto(data, client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.parametrize("offset", [0.0, 120.5, -86400.0])
def test_the_offset_of_a_time_server(offset):
    with time_server(lambda question: reply(question, offset=offset)) as server:
        answer = read_clock.read_time_server(server)
    assert abs(answer["offset"] - offset) < 0.2
    assert answer["stratum"] == 2


@pytest.mark.parametrize(
    "answer",
    [
        lambda question: None,
        lambda question: b"short",
        lambda question: reply(question, stratum=0),
        lambda question: reply(question, first=0xE4),
        lambda question: reply(question, first=0x23),
        lambda question: reply(question, nonce=b"not ours"),
        lambda question: reply(question)[:32] + bytes(16),
    ],
)
def test_a_time_server_that_is_of_no_use(monkeypatch, answer):
    monkeypatch.setattr(read_clock, "NTP_WITHIN", 0.1)
    with time_server(answer) as server, pytest.raises(CannotRead):
        read_clock.read_time_server(server)


def test_no_time_server():
    assert read_clock.read_time_server(None) is None
    with pytest.raises(WrongQuestion):
        read_clock.read_time_server("http://ntp.example.com")


# --- anything at all

TEXTS = st.one_of(
    st.text(max_size=2000),
    st.lists(st.sampled_from(list(" \n\t0123456789()-:/.,=%")) | st.sampled_from(MOUNTS.split(" ")), max_size=400).map("".join),
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)
FUZZ = settings(max_examples=150, deadline=500, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(TEXTS)
@example("some avg10=1 avg60=1 avg300=999999999999999999999999")
@example("cpu " + "9" * 30 + " 1 1 1\nbtime 99999999999999")
@example("1 (" * 500 + ")" * 500)
@example("Jan 99 99:99:99 x" + "\n2026-02-31T23:59:60+99:99 Out of memory: Killed process 1 (x)")
@example("9999-12-31 23:59:59")
@example("{" * 2000)
@example("\\777" * 300)
def test_any_text_is_read(text):
    began = time.monotonic()
    for parse in (
        counters.parse_pressure,
        read_cpu.parse_load,
        counters.parse_stat,
        processes.parse_process,
        read_memory.parse_sizes,
        counters.parse_counters,
        _mounts.parse_mounts,
        logrotate.parse_rules,
        logrotate.rotated_from,
        read_listeners.parse_listeners,
    ):
        parse(text)
    kernel_log.parse_kills((kernel_log.syslog_time(line, NOW), line) for line in text.split("\n"))
    read_log_files.date_in(text, NOW)
    assert time.monotonic() - began < 0.5


@FUZZ
@given(st.binary(max_size=100))
def test_any_answer_of_a_time_server(data):
    with suppress(ValueError):
        assert abs(read_clock.parse_time(data, data[24:32], NOW, NOW + 0.1)["offset"]) < 1 << 33


@FUZZ
@given(ANY, ANY)
def test_any_memory_is_survived(points, kept):
    _host_series.forecast(points, NOW, 1e9, least_points=4, least_seconds=3600)
    _host_series.add(points, [NOW, 1, 2])
    _host_series.growth(points, NOW, 5)
    disks = {"at": NOW, "disks": [{"mount": "/", "device": "d", "used": 1, "size": 2, "error": ""}], "folders": [], "missing": []}
    read_disks.remember_disks(disks, kept)
    read_disks.remember_disks(disks, {"disks": {"/ d": points}, "folders": kept})


@FUZZ
@given(st.lists(st.tuples(st.floats(0, 2e9), st.floats(0, 1e15), st.just(1e12)).map(list), max_size=300))
def test_any_series_is_continued_in_time(points):
    began = time.monotonic()
    found = _host_series.forecast(points, NOW, 1e9, least_points=4, least_seconds=3600)
    assert found is None or (found.full_at > NOW and found.per_day > 0)
    assert time.monotonic() - began < 0.2


def test_large_texts_take_little_time():
    line = "   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1\n"
    texts = [line * 40_000, MOUNTS * 3000, "(" * 1_000_000, "/a " * 300_000, "- " * 500_000]
    for text in texts:
        began = time.monotonic()
        for parse in (
            read_listeners.parse_listeners,
            _mounts.parse_mounts,
            processes.parse_process,
            logrotate.parse_rules,
            counters.parse_stat,
        ):
            parse(text)
        assert time.monotonic() - began < 3


# --- the module


def test_the_module(capsys, tmp_path):
    with (
        patch_module_args({"ask": ["disk", "memory"], "only": ["/"], "state_dir": str(tmp_path / "s")}),
        pytest.raises(SystemExit) as ended,
    ):
        host_check.main()
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert '"expected": ["host.disk", "host.memory"]' in out
    assert sorted(path.name.split("-")[0] for path in (tmp_path / "s").glob("*.json")) == ["host.disks", "host.memory"]


def test_the_module_in_check_mode_keeps_nothing(capsys, tmp_path):
    arguments = {"ask": ["disk"], "state_dir": str(tmp_path / "s"), "_ansible_check_mode": True}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        host_check.main()
    assert not (tmp_path / "s").exists()


def test_a_wrong_question_to_the_module(capsys, tmp_path):
    arguments = {"ask": ["outbound"], "targets": ["nonsense"], "state_dir": str(tmp_path / "s")}
    with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
        host_check.main()
    assert ended.value.code == 1
    assert "targets[0]: 'nonsense' is not a place to connect to" in capsys.readouterr().out
