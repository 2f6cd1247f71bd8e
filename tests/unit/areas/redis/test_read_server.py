# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a server: real ones, and ones that misbehave."""

from __future__ import annotations

import json
import shutil
import subprocess
import time

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.redis import check_ping
from ansible_collections.ops.remediation.plugins.module_utils._areas.redis.read_server import SERVER, read_server
from ansible_collections.ops.remediation.plugins.module_utils._core.children import Outcome
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import CannotRead, WrongQuestion
from ansible_collections.ops.remediation.plugins.module_utils._core.source import Asked

from . import helpers as h

real = pytest.mark.skipif(h.PROGRAM is None, reason="needs redis-server (make setup installs it)")
DEFAULTS = {name: spec.get("default") for name, spec in check_ping.PARAMETERS.items()}
INFO = dict.fromkeys(("server", "memory", "persistence", "replication"), b"$2\r\n\r\n\r\n")


def judged(port, **parameters):
    """Return what the check finds on a server, as {code: evidence}."""
    given = {**DEFAULTS, "port": port, **parameters}
    facts = read_server(**SERVER.arguments(given))
    assert json.loads(json.dumps(facts)) == facts
    findings = check_ping.judge(Asked(given, now=time.time(), outcomes={"redis.server": Outcome(facts)}))
    assert {finding.subject for finding in findings} == {f"127.0.0.1:{port}"}
    return {finding.code: finding.evidence for finding in findings}


def login(folder, password):
    (folder / "password").write_text(password + "\n", encoding="utf-8")
    return {"file": str(folder / "password")}


def read(port, **parameters):
    return read_server(host="127.0.0.1", port=port, **{"timeout": 5.0, **parameters})


# --- the real thing


@real
def test_a_server_that_is_well(tmp_path):
    with h.redis(tmp_path) as port:
        found = judged(port)
    assert list(found) == [""]
    assert (found[""]["role"], found[""]["policy"]) == ("master", "noeviction")
    assert found[""]["version"]
    assert list(judged(port)) == ["redis.no_answer"]
    assert judged(port)["redis.no_answer"]["reason"] == "refused"


@real
def test_passwords(tmp_path):
    acl = "user monitor on >of-monitor -@all +ping +info"
    with h.redis(tmp_path / "redis", "requirepass of-default", acl) as port:
        assert judged(port)["redis.refused"]["reason"] == "NOAUTH"
        assert judged(port, login=login(tmp_path, "wrong"))["redis.refused"]["reason"] == "WRONGPASS"
        assert judged(port, login=login(tmp_path, "of-default"), user="monitor")["redis.refused"]["reason"] == "WRONGPASS"
        assert list(judged(port, login=login(tmp_path, "of-default"))) == [""]
        # As often as a daily check may try: the account is not locked.
        assert list(judged(port, login=login(tmp_path, "of-monitor"), user="monitor")) == [""]


@real
def test_a_password_that_nobody_asked_for(tmp_path):
    with h.redis(tmp_path / "redis") as port:
        assert judged(port, login=login(tmp_path, "x"))["redis.refused"]["reason"] == "NOT_NEEDED"


@real
def test_what_an_account_may_not_see_is_named(tmp_path):
    acls = ["user none on >p -@all +ping", "user some on >p -@all +ping +info|memory", "user mute on >p -@all"]
    with h.redis(tmp_path / "redis", "maxmemory 4mb", *acls) as port:
        secret = login(tmp_path, "p")
        assert judged(port, login=secret, user="none")[""]["not_asked"] == [f"INFO {section}: NOPERM" for section in INFO]
        some = judged(port, login=secret, user="some")[""]
        assert some["not_asked"] == ["INFO server: NOPERM", "INFO persistence: NOPERM", "INFO replication: NOPERM"]
        assert some["policy"] == "noeviction"
        assert judged(port, login=secret, user="mute")["redis.refused"]["reason"] == "NOPERM"


@real
def test_a_replica(tmp_path):
    with h.redis(tmp_path / "master") as master, h.redis(tmp_path / "replica", f"replicaof 127.0.0.1 {master}") as port:
        assert list(judged(port)) == ["redis.read_only"]
        assert list(judged(port, writable=False)) == [""]
        assert list(judged(master)) == [""]


@real
def test_a_replica_without_its_master_that_serves_nothing(tmp_path):
    with h.redis(tmp_path, "replicaof 127.0.0.1 1", "replica-serve-stale-data no") as port:
        assert judged(port)["redis.no_answer"]["reason"] == "MASTERDOWN"


@real
def test_memory(tmp_path):
    with h.redis(tmp_path, "maxmemory 20mb") as port:
        assert list(judged(port)) == [""]
        h.cli(port, "SETRANGE", "x", "16000000", "y")
        assert list(judged(port)) == ["redis.memory_80"]
        h.cli(port, "CONFIG", "SET", "maxmemory", "17200000")
        assert judged(port)["redis.memory_95"]["policy"] == "noeviction"


@real
def test_saves(tmp_path):
    with h.redis(tmp_path / "redis", "save 3600 1") as port:
        h.cli(port, "SET", "a", "1")
        assert list(judged(port)) == [""]
        shutil.rmtree(tmp_path / "redis")
        h.cli(port, "BGSAVE")
        while "rdb_bgsave_in_progress:1" in h.cli(port, "INFO", "persistence"):
            time.sleep(0.01)
        failed = judged(port)["redis.save_failed"]
    assert (failed["how"], failed["refuses"], failed["changes"]) == ("snapshot", True, 1)
    assert failed["said"].startswith("MISCONF")


@real
def test_tls(tmp_path):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True, timeout=60)

    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key", "-out", "crt", *names)
    files = [f"tls-cert-file {tmp_path}/crt", f"tls-key-file {tmp_path}/key", f"tls-ca-cert-file {tmp_path}/crt", "tls-auth-clients no"]
    tls_port = h.free_port()
    with h.redis(tmp_path, f"tls-port {tls_port}", *files) as port:
        assert list(judged(tls_port, tls=True, ca_file=str(tmp_path / "crt"))) == [""]
        assert judged(tls_port, tls=True)["redis.no_answer"]["reason"] == "tls"
        # Without TLS, Redis takes the handshake for the beginning of a command, and waits for the rest.
        assert judged(port, tls=True, timeout=0.3)["redis.no_answer"]["reason"] == "silent"
    with pytest.raises(WrongQuestion):
        judged(port, tls=True, ca_file=str(tmp_path / "none"))


# --- servers that misbehave


@pytest.mark.parametrize(
    ("answers", "closes", "reason"),
    [
        ((), False, "silent"),
        ((b"+PO",), False, "silent"),
        ((), True, "closed"),
        ((b"+PONG\r\n", b"$10\r\nab"), True, "closed"),
        ((b"-ERR max number of clients reached\r\n",), True, "too_many"),
        ((b"-BUSY Redis is busy running a script.\r\n",), True, "BUSY"),
        ((b"-WHAT is this\r\n",), True, "error"),
    ],
)
def test_no_answer(answers, closes, reason):
    with h.answering(*answers, closes=closes) as port:
        assert judged(port, timeout=0.3 if not closes else 5.0)["redis.no_answer"]["reason"] == reason


def test_old_and_strange_refusals(tmp_path):
    for answer, reason in ((b"-ERR invalid password", "WRONGPASS"), (b"-ERR Client sent AUTH, but no password is set", "NOT_NEEDED")):
        with h.answering(answer + b"\r\n") as port:
            assert judged(port, login=login(tmp_path, "x"))["redis.refused"]["reason"] == reason
    with h.answering(b"-DENIED Redis is running in protected mode\r\n") as port:
        assert judged(port)["redis.refused"]["reason"] == "DENIED"


def test_a_password_that_comes_back_is_not_kept(tmp_path):
    for answer in (b"-ERR unknown command 'AUTH', with args beginning with: 'hunter2hunter2'\r\n", b"-hunter2hunter2\r\n"):
        with h.answering(answer) as port:
            facts = read(port, login=login(tmp_path, "hunter2hunter2"))
        assert (facts["state"], facts["reason"]) == ("refused", "ERR")
        assert "hunter2" not in json.dumps(facts)
    with h.answering(b"+OK\r\n", b"-ERR hunter2hunter2\r\n") as port:
        assert "hunter2" not in json.dumps(read(port, login=login(tmp_path, "hunter2hunter2")))


def test_loading():
    persistence = b"loading:1\r\nloading_eta_seconds:7\r\n"
    answers = [b"-LOADING Redis is loading the dataset in memory\r\n", INFO["server"], INFO["memory"]]
    with h.answering(*answers, b"$%d\r\n%s\r\n" % (len(persistence), persistence), INFO["replication"]) as port:
        assert judged(port)["redis.loading"]["eta"] == 7


@pytest.mark.parametrize(
    "answers",
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
        (b"+HELLO\r\n",),
        (b"+PONG\r\n", INFO["server"], b"$16\r\nused_memory:many\r\n"),
        (b"+PONG\r\n", INFO["server"], b"$35\r\nmaxmemory:9999999999999999999999999\r\n"),
        (b"+PONG\r\n", INFO["server"], b"$33\r\nmaxmemory_policy:<b>no</b>, never\r\n"),
    ],
)
def test_what_is_no_answer_of_redis_is_refused(answers):
    with h.answering(*answers) as port, pytest.raises(CannotRead) as raised:
        read(port)
    assert raised.value.message.startswith(f"127.0.0.1:{port}")


def test_a_flood_and_a_drip_end():
    with h.answering(b"+" + b"x" * 10_000_000) as port, pytest.raises(CannotRead):
        read(port)
    started = time.monotonic()
    with h.answering(*[b"+"] * 1, closes=False) as port:
        assert read(port, timeout=0.2)["reason"] == "silent"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none(port):
    with pytest.raises(WrongQuestion):
        read(port)
