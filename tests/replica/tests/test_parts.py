"""What needs no running replica: history, attachments, addresses of faults."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime, timedelta

import pytest

from tests.faults.breakages import FAULTS, find_fault

from .. import attachments, history
from ..customers import CUSTOMERS
from ..paths import Paths
from ..system import ReplicaError

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
    addresses = [fault.address for fault in FAULTS]
    assert len(set(addresses)) == len(addresses)
    assert [find_fault(address).address for address in addresses] == addresses


def test_a_wrong_variant_names_the_right_ones():
    with pytest.raises(ReplicaError, match=r"pm2\.stopped, pm2\.stopped:exited"):
        find_fault("pm2.stopped:gone")


@pytest.mark.parametrize("name", ["", "cache", "../x", "A b", ".hidden"])
def test_names_that_are_no_names_of_instances(name):
    with pytest.raises(ReplicaError, match="--name"):
        Paths.of(name)
