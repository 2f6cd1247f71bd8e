"""Values on the wire: what is written is read back, and known bytes are what Oracle sends."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from .. import values
from ..engine import rowid_text
from ..listener import connect_data
from ..login import Challenge, _decrypt, _encrypt, is_right, make_verifier
from ..ttc import NeedMore, Reader, Writer


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0, "80"),
        (1, "c102"),
        (-1, "3e6466"),
        (100, "c202"),
        (123, "c20218"),
        (Decimal("0.1"), "c00b"),
        (-123, "3d644e66"),
        (1000000, "c402"),
    ],
)
def test_numbers_have_the_bytes_of_oracle(number, encoded):
    assert values.encode_number(number).hex() == encoded


@given(st.integers(-(10**38) + 1, 10**38 - 1))
def test_a_whole_number_is_read_back(number):
    assert values.decode_number(values.encode_number(number)) == number


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=15))
def test_a_fraction_is_read_back_exactly(number):
    encoded = values.encode_number(number)
    assert len(encoded) <= 21
    assert values.decode_number(encoded) == number


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6), min_size=2, max_size=2))
def test_bytes_sort_as_their_numbers(pair):
    low, high = sorted(pair)
    assert values.encode_number(low) <= values.encode_number(high)


@pytest.mark.parametrize("number", [Decimal("1e126"), Decimal(10**41 + 1)])
def test_what_no_number_can_hold_is_refused(number):
    with pytest.raises(ValueError, match="NUMBER"):
        values.encode_number(number)


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))
def test_dates_and_time_stamps_are_read_back(moment):
    date = moment.replace(microsecond=0).isoformat(" ")
    assert values.decode_time(values.encode_time(date, values.WIRE_DATE), values.WIRE_DATE, timedelta(0)) == date
    stamp = moment.isoformat(" ", "microseconds")
    assert values.decode_time(values.encode_time(stamp, values.WIRE_TIMESTAMP), values.WIRE_TIMESTAMP, timedelta(0)) == stamp


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1)), st.integers(-11 * 60, 14 * 60))
@example(datetime(2026, 1, 1), -30)
@example(datetime(2026, 1, 1), -90)
def test_a_time_with_its_zone_is_read_back(moment, minutes):
    text = values.zoned_text(moment.replace(tzinfo=values.UTC), timedelta(minutes=minutes))
    encoded = values.encode_time(text, values.WIRE_TIMESTAMP_TZ)
    assert len(encoded) == 13
    assert values.decode_time(encoded, values.WIRE_TIMESTAMP_TZ, timedelta(0)) == text


def test_a_local_time_stamp_becomes_the_sessions_time():
    encoded = values.encode_time("2026-03-01 23:30:00.500000", values.WIRE_TIMESTAMP)
    assert values.decode_time(encoded, values.WIRE_TIMESTAMP_LTZ, timedelta(hours=9)) == "2026-03-02 08:30:00.500000+09:00"


@given(st.lists(st.integers(0, 2**64 - 1)), st.binary(max_size=70_000))
def test_integers_and_byte_strings_are_read_back(numbers, data):
    reader = Reader(bytes(Writer().number(*numbers).sized(data).chunked(data)))
    assert [reader.number() for _ in numbers] == numbers
    assert reader.sized() == data
    assert (reader.chunked() or b"") == data
    assert reader.at_end


@given(st.binary(min_size=1, max_size=600), st.integers(0, 600))
def test_a_message_that_goes_on_asks_for_more(data, cut):
    whole = bytes(Writer().sized(data))
    with pytest.raises(NeedMore):
        Reader(whole[: min(cut, len(whole) - 1)]).sized()


@pytest.mark.parametrize("kind", ["11g", "12c"])
def test_a_password_is_proved_without_being_sent(kind):
    verifier = make_verifier(kind, "tiger")
    challenge = Challenge(verifier)
    offered = {key: value for key, value, _ in challenge.answers()}
    key = verifier.digest[:32] if kind == "12c" else verifier.digest + bytes(4)
    assert len(_decrypt(key, bytes.fromhex(offered["AUTH_SESSKEY"]))) == (32 if kind == "12c" else 48)
    client_part = bytes(range(32 if kind == "12c" else 48))
    assert challenge.accept_session_key(_encrypt(key, client_part).hex())
    assert challenge.password(_encrypt(challenge._combined, bytes(16) + b"tiger" + bytes([11]) * 11).hex()) == "tiger"
    assert is_right(verifier, "tiger")
    assert not is_right(verifier, "Tiger")
    assert not is_right(verifier, challenge.password("00" * 32))


def test_row_identifiers_have_18_letters_and_differ():
    made = [rowid_text(number) for number in range(1, 2000)]
    assert {len(text) for text in made} == {18}
    assert len(set(made)) == len(made)
    assert made[0].startswith("AAAR3sAAM")


def test_a_connect_descriptor_names_service_and_client():
    text = (
        "(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=db.example.com)(PORT=1521))(CONNECT_DATA=(SERVICE_NAME=ORCLPDB1)"
        "(CID=(PROGRAM=node worker)(HOST=app-1)(USER=tankmail))))"
    )
    found = connect_data(text)
    assert (found["SERVICE_NAME"], found["PROGRAM"], found["HOST"], found["USER"]) == ("ORCLPDB1", "node worker", "app-1", "tankmail")
    assert connect_data("(DESCRIPTION=(CONNECT_DATA=(SID = ORCL)))")["SID"] == "ORCL"
