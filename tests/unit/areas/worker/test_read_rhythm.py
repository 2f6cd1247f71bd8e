# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's rhythm, read from its logs."""

from __future__ import annotations

import gzip
import json
import os
import time
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.worker import read_rhythm
from ansible_collections.ops.remediation.plugins.module_utils._shared.logs.dates import Clock
from hypothesis import given, settings
from hypothesis import strategies as some


def test_the_usual_gap_is_that_between_bunches():
    marks = [(start + offset, "7") for start in range(0, 600, 30) for offset in (0, 0.1, 0.2)]
    assert read_rhythm.rhythm(marks)["usual"] == pytest.approx(29.8)


def test_a_gap_over_a_restart_says_nothing():
    marks = [(float(second), "7") for second in range(0, 50, 5)] + [(float(second), "8") for second in range(9000, 9050, 5)]
    assert read_rhythm.rhythm(marks)["usual"] == 5.0


def test_few_lines_tell_no_rhythm():
    assert read_rhythm.rhythm([(1.0, ""), (2.0, ""), (3.0, "")])["usual"] is None
    assert read_rhythm.rhythm([]) == {"count": 0, "undated": 0, "last": None, "gaps": 0, "usual": None}


STYLES = {
    "Nest, American": lambda at: f"\x1b[32m[Nest] 77  - \x1b[39m{at:%m/%d/%Y}, {at.hour % 12 or 12}:{at:%M:%S %p} \x1b[32m    LOG\x1b[39m ",
    "Nest, narrow space": lambda at: f"[Nest] 77  - {at:%m/%d/%Y}, {at.hour % 12 or 12}:{at:%M:%S}\u202f{at:%p}     LOG ",
    "Nest, British": lambda at: f"[Nest] 77  - {at:%d/%m/%Y, %H:%M:%S}     LOG ",
    "Nest, Korean": lambda at: (
        f"[Nest] 77  - {at:%Y. %m. %d.} {'오전' if at.hour < 12 else '오후'} {at.hour % 12 or 12}:{at:%M:%S}     LOG "
    ),
    "PM2 with --time": lambda at: f"{at:%Y-%m-%dT%H:%M:%S}: ",
    "with a zone": lambda at: f"{at.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ} ",
}


@pytest.mark.parametrize("zone", [0, 9, -5])
@pytest.mark.parametrize("style", sorted(STYLES))
def test_dates_of_any_locale_and_zone(tmp_path, style, zone):
    path, now = tmp_path / "worker-out.log", int(time.time())
    moments = [now - back for back in range(300, 0, -30)]
    clock = timezone(timedelta(hours=zone))
    path.write_text(
        "".join(f"{STYLES[style](datetime.fromtimestamp(at, clock))}[Scheduler] Scheduler created 2 job(s)\n" for at in moments)
    )
    os.utime(path, (moments[-1], moments[-1]))
    found = read_rhythm._rhythms([str(path)], read_rhythm._clock([str(path)], 0), "Processing job", "Scheduler")
    assert found["scheduler"]["last"] == moments[-1]
    assert found["scheduler"]["usual"] == 30.0
    assert found["since"] == moments[0]
    assert found["jobs"]["count"] == 0


def test_lines_without_dates_are_counted_as_such(tmp_path):
    path = tmp_path / "worker-out.log"
    path.write_text("Scheduler created 1 job(s)\n" * 9)
    found = read_rhythm._rhythms([str(path)], Clock(), "Processing job", "Scheduler")
    assert (found["scheduler"]["undated"], found["scheduler"]["last"], found["since"]) == (9, None, None)


def test_a_frame_of_a_stack_is_no_line_of_the_scheduler(tmp_path):
    path = tmp_path / "worker-error.log"
    path.write_text("Error: no\n    at Scheduler.tick (/opt/worker.js:1:1)\n")
    assert read_rhythm._rhythms([str(path)], Clock(), "Processing job", "Scheduler")["scheduler"]["count"] == 0


@pytest.mark.parametrize(
    "name", ["worker-out.log.1", "worker-out.log-20261121", "worker-out__2026-11-21_00-00-00.log", "worker-out.log.1.gz"]
)
@pytest.mark.parametrize("left", ["absent lines", "copytruncate"])
def test_a_freshly_rotated_log_is_read_together_with_what_was_rotated(tmp_path, name, left):
    path, now = tmp_path / "worker-out.log", int(time.time())
    text = "".join(f"{datetime.fromtimestamp(now - back).astimezone():%Y-%m-%dT%H:%M:%S%z} Scheduler\n" for back in range(60, 0, -5))
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    path.write_text("" if left == "copytruncate" else "a line\n")
    found = read_rhythm._rhythms([str(path)], Clock(), "Processing job", "Scheduler")
    assert (found["scheduler"]["last"], found["scheduler"]["usual"]) == (now - 5, 5.0)


def test_a_compressed_log_that_grows_too_large_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(read_rhythm, "MAX_UNPACKED", 1000)
    (tmp_path / "big.gz").write_bytes(gzip.compress(b"Scheduler\n" * 10000))
    (tmp_path / "damaged.gz").write_bytes(gzip.compress(b"Scheduler\n" * 10)[:-12] + b"xx")
    assert read_rhythm._unpacked(str(tmp_path / "big.gz")) == ""
    assert len(read_rhythm._unpacked(str(tmp_path / "damaged.gz"))) <= 100


def test_more_is_read_of_a_busy_log(tmp_path):
    path = tmp_path / "worker-out.log"
    path.write_text("2026-11-21T10:00:00Z Scheduler\n" + "2026-11-21T10:00:01Z another line of a busy worker\n" * 40000)
    assert read_rhythm._rhythms([str(path)], Clock(), "Processing job", "Scheduler")["scheduler"]["count"] == 1


def test_the_zone_of_the_process_where_the_file_does_not_tell(monkeypatch):
    monkeypatch.setattr(read_rhythm, "_environment", lambda _pid: ["A=b", "TZ=Asia/Seoul"])
    assert read_rhythm._clock([], 7).offset == -9 * 3600
    monkeypatch.setattr(read_rhythm, "_environment", lambda _pid: ["TZ=Nowhere/At all"])
    assert read_rhythm._clock([], 7).offset is None


def listed(*statuses):
    """Return the lists that PM2 gives one after the other."""
    answers = [
        {
            "state": "up",
            "problem": "",
            "user": "tank",
            "processes": [
                {
                    "name": "worker",
                    "module": False,
                    "status": status,
                    "pid": 0,
                    "started_at": 1.0,
                    "autorestart": True,
                    "out_log": "/dev/null",
                    "err_log": "",
                }
            ],
        }
        for status in statuses
    ]
    return lambda *_arguments: answers.pop(0) if len(answers) > 1 else answers[0]


def test_a_process_that_is_just_starting_is_looked_at_again(monkeypatch):
    monkeypatch.setattr(read_rhythm, "STARTING", 0.0)
    monkeypatch.setattr(read_rhythm.pm2_list, "read_list", listed("stopped", "online"))
    assert read_rhythm.read_rhythm("/h")["status"] == "online"
    monkeypatch.setattr(read_rhythm.pm2_list, "read_list", listed("stopped"))
    found = read_rhythm.read_rhythm("/h")
    assert (found["status"], found["logs"]) == ("stopped", [])
    json.dumps(found)


@settings(max_examples=60, deadline=None)
@given(some.binary(max_size=4000))
def test_any_bytes_are_read_without_an_exception(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("log") / "worker-out.log"
    path.write_bytes(data + b"\nScheduler \xff Processing job\n" + data)
    (path.parent / "worker-out.log.1.gz").write_bytes(data)
    found = read_rhythm._rhythms([str(path)], read_rhythm._clock([str(path)], 0), "Processing job", "Scheduler")
    json.dumps(found)
