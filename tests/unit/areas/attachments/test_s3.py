# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attachments in S3, against moto: the same outcomes as in folders."""

from __future__ import annotations

import socket
import sys
import time
from types import SimpleNamespace

import boto3
import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import check_present, read_files, s3
from ansible_collections.ops.remediation.plugins.module_utils._core import source, state
from ansible_collections.ops.remediation.plugins.module_utils._core.errors import DriverMissing, WrongQuestion
from moto import mock_aws

from . import helpers as h

ROOT = "s3://reports/statement/%Y%m%d"
PREFIX = "statement/20261121/"


@pytest.fixture
def bucket(monkeypatch):
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "ap-southeast-1"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        made = boto3.resource("s3").create_bucket(Bucket="reports", CreateBucketConfiguration={"LocationConstraint": "ap-southeast-1"})
        for name in h.NAMES:
            made.put_object(Key=PREFIX + name, Body=h.CONTENTS["." + name.rpartition(".")[2]])
        yield made


def read(wanted, **more):
    return h.read([ROOT], wanted, date="2026-11-21", **more)


def test_all_are_found_page_by_page(bucket, monkeypatch):
    monkeypatch.setattr(s3, "AT_ONCE", 5)
    answer = read(h.NAMES)
    assert answer["counts"]["FOUND"] == 12
    assert (answer["files"], answer["complete"], answer["unread"]) == (12, True, 0)


def test_more_than_one_page(bucket):
    for number in range(1100):
        bucket.put_object(Key=f"{PREFIX}more/B_{number}.csv", Body=b"a,b\n")
    answer = read([*h.NAMES, "B_7.csv", "B_1099.csv"])
    assert answer["counts"]["FOUND"] == 14
    assert answer["files"] == 1112


def test_one_of_everything(bucket):
    first = h.NAMES[:6]
    bucket.Object(PREFIX + first[0]).delete()
    bucket.put_object(Key=PREFIX + first[1], Body=b"")
    bucket.put_object(Key=PREFIX + first[2], Body=h.CONTENTS[".xlsx"][:700])
    bucket.Object(PREFIX + first[3]).delete()
    bucket.put_object(Key=PREFIX + first[3].lower(), Body=h.CONTENTS[".csv"])
    bucket.put_object(Key=PREFIX + first[4], Body=b"<html></html>")
    bucket.put_object(Key=f"{PREFIX}again/{first[5]}", Body=h.CONTENTS[".pdf"])
    bucket.put_object(Key=PREFIX, Body=b"")  # a folder that a console made
    answer = read(first)
    assert [code for _outcome, code in h.outcomes(answer).values()] == sorted(
        ["not_found", "empty", "damaged", "case_differs", "wrong_type", "duplicated"],
        key=[h.outcomes(answer)[name][1] for name in h.outcomes(answer)].index,
    )
    told = {row["name"]: row for row in answer["details"]}
    assert told[first[3]]["candidates"] == [f"s3://reports/{PREFIX}{first[3].lower()}"]
    assert "move" not in told[first[3]]
    assert told[first[5]]["equal"] == "yes"


def test_only_the_first_and_the_last_blocks_are_fetched(bucket, monkeypatch):
    bucket.put_object(Key=PREFIX + "BIG_1.csv", Body=b"a,b\n" * 100_000)
    fetched = []
    inspect = s3.inspect_object

    def counted(client, *arguments, **options):
        client.meta.events.register("provide-client-params.s3.GetObject", lambda params, **_more: fetched.append(params["Range"]))
        return inspect(client, *arguments, **options)

    monkeypatch.setattr(s3, "inspect_object", counted)
    assert read(["BIG_1.csv"])["counts"]["FOUND"] == 1
    assert fetched == ["bytes=0-16383", "bytes=383616-399999"]


def test_another_day_has_nothing(bucket):
    answer = h.read([ROOT], h.NAMES, date="2026-11-22")
    assert answer["counts"]["NOT_FOUND"] == 12
    assert h.codes(answer) == ["attachments.batch_missing", "attachments.not_found"]


def test_a_bucket_that_is_not_there_leaves_everything_unknown(bucket):
    answer = h.read(["s3://elsewhere/x"], h.NAMES)
    assert answer["counts"]["UNKNOWN"] == 12
    assert "NoSuchBucket" in check_present.present_of(answer)[0].evidence["reason"]


def test_an_endpoint_that_does_not_answer(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    answer = h.read(["s3://reports/x"], ["A_1.pdf"], s3={"endpoint": "http://127.0.0.1:9", "region": "ap-southeast-1"})
    assert answer["roots"][0]["problem"] == "EndpointConnectionError"


def test_buckets_that_never_answer_cost_neither_each_other_nor_a_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    h.put(tmp_path, "A_1.csv")
    with socket.create_server(("127.0.0.1", 0)) as hole:
        given = {
            "roots": ["s3://one/x", "s3://two/x", "s3://three/x", str(tmp_path)],
            "wanted": ["A_1.csv", "B_1.csv"],
            "s3": {"endpoint": f"http://127.0.0.1:{hole.getsockname()[1]}", "region": "ap-southeast-1"},
            "answer_within": 4.0,
            "details": 9,
        }
        started = time.monotonic()
        (outcome,) = source.read_all([(read_files.FILES, given, 8.0)], state.State(str(tmp_path / "s"), read_only=False)).values()
        answer = outcome.get()
    assert time.monotonic() - started < 5
    assert [root["problem"] for root in answer["roots"]] == ["silent"] * 3 + [""]
    assert h.outcomes(answer) == {"A_1.csv": ("FOUND", ""), "B_1.csv": ("UNKNOWN", "")}


@pytest.mark.parametrize(
    ("options", "said"),
    [({"profile": "no-such-profile"}, "s3.profile: 'no-such-profile' is no profile"), ({"endpoint": "nonsense"}, "s3.endpoint")],
)
def test_options_that_cannot_be_used_are_a_wrong_question(monkeypatch, options, said):
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(WrongQuestion, match=said):
        s3.connect({"region": "ap-southeast-1", **options})


def test_a_folder_and_a_bucket_together(bucket, tmp_path):
    h.put(tmp_path, h.NAMES[0])
    h.put(tmp_path, "L_1.csv")
    answer = h.read([ROOT, tmp_path], [h.NAMES[0], h.NAMES[1], "L_1.csv"], date="2026-11-21")
    assert h.outcomes(answer) == {h.NAMES[0]: ("DUPLICATED", "duplicated"), h.NAMES[1]: ("FOUND", ""), "L_1.csv": ("FOUND", "")}
    assert next(row for row in answer["details"] if row["outcome"] == "DUPLICATED")["equal"] == "unknown"


def test_the_key_comes_from_the_applications_env(tmp_path):
    env = tmp_path / ".env"
    env.write_text("AWS_ACCESS_KEY=AKIAOFTHEAPP\nAWS_SECRET_KEY='very secret'\nAWS_REGION=ap-northeast-2\n")
    client = s3.connect({"env_file": str(env)})
    assert client.meta.region_name == "ap-northeast-2"
    assert client._request_signer._credentials.access_key == "AKIAOFTHEAPP"


def test_without_boto3_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(DriverMissing, match="boto3"):
        s3.connect(None)
    given = {"roots": [ROOT], "wanted": h.NAMES, "answer_within": 5.0}
    (outcome,) = source.read_all([(read_files.FILES, given, 8.0)], state.State(str(tmp_path), read_only=False)).values()
    assert outcome.error.kind == "driver_missing"
    assert "pip install boto3" in outcome.error.details["install"]


def test_what_was_listed_in_time_counts(bucket, monkeypatch):
    for number in range(1100):
        bucket.put_object(Key=f"{PREFIX}more/B_{number}.csv", Body=b"a,b\n")
    take, passed = s3._take, []

    def slow(*arguments):
        take(*arguments)
        passed.append(3600.0)

    monkeypatch.setattr(s3, "_take", slow)
    # The listing's own clock: it jumps by an hour with each page, while all other time limits keep to the real one.
    monkeypatch.setattr(s3, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + sum(passed)))
    answer = read([h.NAMES[0], "Z_1.csv"], answer_within=600.0, contents=False)
    assert len(passed) == 1, "no further page was listed"
    assert answer["roots"][0]["problem"] == "silent"
    assert h.outcomes(answer) == {h.NAMES[0]: ("FOUND", ""), "Z_1.csv": ("UNKNOWN", "")}
