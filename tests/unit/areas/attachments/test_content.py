# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contents: whole files pass, damaged ones are named, nothing raises, and no more is read than the first and last blocks."""

from __future__ import annotations

import io
import os
import struct
import time
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import content as c
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import content_office, content_parts
from hypothesis import example, given, settings
from hypothesis import strategies as st

from . import helpers as h

KINDS = sorted(h.CONTENTS)


def judge(extension, data, deep=False):
    """Judge bytes as if they were a file; fails where more is read than two blocks."""
    read = []

    def reader(offset, length):
        read.append(length)
        return data[offset : offset + length]

    if not data:
        return c.judge(extension, content_parts.Parts(0, b"", b""))
    verdict = c.judge(extension, content_parts.read_parts(reader, len(data), deep=deep))
    assert deep or sum(read) <= 2 * content_parts.BLOCK
    return verdict


def code(extension, data, deep=False):
    return judge(extension, data, deep).code.partition(".")[2]


def large_xlsx(rows=60_000, stored=False):
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(h.CONTENTS[".xlsx"])) as small,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED if stored else 8) as large,
    ):
        for name in small.namelist():
            large.writestr(name, small.read(name))
        large.writestr("xl/worksheets/sheet2.xml", os.urandom(rows))
    return buffer.getvalue()


def large_csv(lines=3000):
    return "".join(f"GID_{number},2026-11-21,홍길동,{number * 37}\n" for number in range(lines))


def large_pdf():
    """A PDF with a body of 100 kB between its header and its table."""
    body = b"%PDF-1.4\n1 0 obj\n<</Length 100000>>\nstream\n" + b"x" * 100_000 + b"\nendstream\nendobj\n"
    return body + b"xref\n0 1\n0000000000 65535 f \ntrailer\n<<>>\nstartxref\n%d\n%%%%EOF\n" % len(body)


def large_xls(sectors=400):
    """A workbook of 200 kB whose table lies in its first block: four sectors of table, a directory, the stream."""
    tables, end, free, mark = 4, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
    head = struct.pack("<8s16xHHHHH6xIIIIIIIII", content_parts.OLE_MAGIC, 0x3E, 3, 0xFFFE, 9, 6, 0, tables, tables, 0, 4096, end, 0, end, 0)
    head += struct.pack("<109I", *range(tables), *[free] * (109 - tables))
    chain = [mark] * tables + [end] + list(range(tables + 2, tables + sectors)) + [end, end]
    table = struct.pack(f"<{tables * 128}I", *chain, *[free] * (tables * 128 - len(chain)))
    small = h.CONTENTS[".xls"]
    return head + table + small[1024:1536] + bytes(512 * (len(chain) - tables - 1))


LARGE = {".xlsx": large_xlsx(), ".csv": large_csv().encode(), ".pdf": large_pdf(), ".xls": large_xls()}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("extension", KINDS)
def test_whole_files_are_fine(extension, deep):
    assert judge(extension, h.CONTENTS[extension], deep) == content_parts.FINE
    assert judge(extension, LARGE[extension], deep) == content_parts.FINE
    assert len(LARGE[extension]) > 2 * content_parts.BLOCK


@pytest.mark.parametrize("extension", [".pdf", ".xls", ".xlsx"])
@pytest.mark.parametrize("part", [0.9, 0.5, 0.1])
def test_a_file_that_is_cut_off_is_damaged(extension, part):
    for data in (h.CONTENTS[extension], LARGE[extension]):
        assert code(extension, data[: int(len(data) * part)]) == "damaged"


@pytest.mark.parametrize("extension", [".xls", ".xlsx", ".pdf", ".csv"])
@pytest.mark.parametrize("other", KINDS)
def test_a_content_that_is_another_kind_is_named(extension, other):
    if extension != other:
        verdict = judge(extension, h.CONTENTS[other])
        assert verdict.code == content_parts.WRONG_TYPE
        assert verdict.kind == {".pdf": "pdf", ".xls": "ole", ".xlsx": "zip", ".csv": "text"}[other]


@pytest.mark.parametrize(
    ("extension", "data", "expected", "word"),
    [
        (".xls", b"<html><table><tr><td>1</td></tr></table></html>", "wrong_type", "html"),
        (".xls", b"\xef\xbb\xbf\r\n<HTML>", "wrong_type", "html"),
        (".xlsx", b"PK\x03\x04" + b"\0" * 100, "damaged", "no_end"),
        (".pdf", b"%PDF-1.4\n%%EOF\n", "damaged", "no_table"),
        (".pdf", b"%PDF-1.4\nstartxref\n999999\n%%EOF\n", "damaged", "no_table"),
        (".pdf", b"\0" * 5000, "damaged", "zeros"),
        (".csv", b"a,b\n1,2\n3\n", "damaged", "columns"),
        (".csv", b'a,b\n1,"2\n', "damaged", "quotes"),
        (".csv", b"a,b\n1,\xff\xfe\xfa\n", "damaged", "encoding"),
        (".csv", b"a,b\n1,2\0\0\0\n", "damaged", "binary"),
        (".csv", "이름,금액\n홍길동,1\n".encode("cp949"), "", ""),
        (".csv", "이름,금액\n홍길동,1\n".encode("utf-16"), "", ""),
        (".csv", b'\xef\xbb\xbf"a";"b;c"\r\n"1";"2\r\n3"\r\n', "", ""),
        (".csv", b"a\tb\n1\t2", "", ""),
        (".csv", b"", "empty", ""),
        (".pdf", b"", "empty", ""),
    ],
)
def test_single_faults(extension, data, expected, word):
    verdict = judge(extension, data)
    assert verdict.code.partition(".")[2] == expected
    assert word in (verdict.why, verdict.kind)


def test_a_pdf_that_does_not_begin_at_its_first_byte_is_fine():
    assert code(".pdf", b"\r\n\r\n" + h.CONTENTS[".pdf"]) == ""
    assert code(".pdf", h.CONTENTS[".pdf"] + b"\0" * 600 + b"\r\n") == ""


def test_an_archive_of_something_else_is_no_workbook():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "x")
    assert judge(".xlsx", buffer.getvalue()).kind == "docx"


def test_an_xlsx_with_a_password_is_an_ole_container():
    locked = h.CONTENTS[".xls"].replace("Workbook".encode("utf-16-le"), "EncryptedPackage".encode("utf-16-le"))
    data = h.CONTENTS[".xls"][: 1024 + 128] + "EncryptedPackage".encode("utf-16-le") + h.CONTENTS[".xls"][1024 + 128 + 32 :]
    assert code(".xlsx", data) == "", locked[:1]
    assert judge(".xlsx", h.CONTENTS[".xls"]).code == content_parts.WRONG_TYPE


def test_damage_in_the_middle_is_seen_only_by_a_deep_look():
    whole = large_xlsx(stored=True)
    middle = len(whole) // 2
    data = whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :]
    assert code(".xlsx", data) == ""
    assert judge(".xlsx", data, deep=True) == content_parts.Verdict(content_parts.DAMAGED, "checksum")


def test_uneven_columns_at_the_end_of_a_large_file():
    assert code(".csv", (large_csv() + "GID_9,2026-11-21\n").encode()) == "damaged"
    assert code(".csv", large_csv().encode("cp949")) == ""


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (large_csv().encode(), ""),
        (large_csv().encode("cp949"), ""),
        (large_csv().encode("utf-16"), ""),
        ((large_csv() + "1,2\n" + large_csv()).encode(), "columns"),
        ((large_csv() + '1,2,3,"4\n' + large_csv()).encode(), "quotes"),
        (large_csv().encode() + b"\xff\n" + large_csv().encode(), "encoding"),
        (large_csv().encode() + b"\0\n" + large_csv().encode(), "binary"),
        (large_csv().replace("\n", "\r\n").encode(), ""),
    ],
)
def test_a_deep_look_at_a_large_csv_sees_its_middle(data, why):
    assert judge(".csv", data, deep=True).why == why


def test_an_archive_that_unpacks_to_very_much_is_not_read_to_its_end(monkeypatch):
    for module in (content_parts, content_office):
        monkeypatch.setattr(module, "DEEP_MOST", 1 << 20)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(h.CONTENTS[".xlsx"])) as small, zipfile.ZipFile(buffer, "w", 8) as bomb:
        for name in small.namelist():
            bomb.writestr(name, small.read(name))
        bomb.writestr("xl/bomb.xml", b"\0" * (1 << 24))
    assert judge(".xlsx", buffer.getvalue(), deep=True) == content_parts.FINE


LONG = "x" * 20_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"a,{LONG},b\n1,2,3\n" * 2, ""),  # the first line does not end in the first block
        (f"a,b,c\n1,2,{LONG}{LONG}\n", ""),  # nor does the last one begin in the last block
        (f"a,b,c\n1,2,{'가' * 20_001}\n", ""),  # which begins in the middle of a sign
        (f'a,"{LONG}\n{LONG}",c\n1,2,3\n', ""),  # a quoted field of two lines, longer than the block
        (f'a,b,c\n1,"2\n{LONG}{LONG}",3\n', ""),
        (f"a,b,c\n1,2,{LONG}\n1,2\n" + "1,2,3\n" * 4000, ""),  # in the middle, which is not read
        (f"a,b,c\n1,2\n1,2,{LONG}{LONG}\n", "damaged"),
        (f"a,b,c\n1,2,{LONG}{LONG}\n1,2\n", "damaged"),
        ('a,b\n1,"2"3\n' + "1,2\n" * 10_000, "damaged"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
def test_lines_that_are_longer_than_a_block(text, expected, encoding):
    data = text.encode(encoding)
    assert len(data) > 2 * content_parts.BLOCK
    assert code(".csv", data) == expected
    assert code(".csv", data, deep=True) == (expected or ("damaged" if "\n1,2\n" in text else ""))


def named(data, name):
    """Return a compound file whose stream has another name."""
    old, new = (text.encode("utf-16-le").ljust(32, b"\0") for text in ("Workbook", name))
    assert data.count(old[:18]) == 1
    return data.replace(old, new)


@pytest.mark.parametrize("data", [h.CONTENTS[".xls"], LARGE[".xls"]])
def test_a_document_that_was_given_another_extension_is_named_however_large_it_is(data):
    assert judge(".xls", named(data, "WordDocument")) == content_parts.Verdict(content_parts.WRONG_TYPE, "", "doc")
    assert judge(".xls", named(data, "VisioDocument")) == content_parts.Verdict(content_parts.WRONG_TYPE, "", "ole")
    assert judge(".xls", named(data, "Book")) == content_parts.FINE


def test_a_directory_that_goes_on_where_nothing_was_read_is_given_the_benefit():
    chained = bytearray(named(LARGE[".xls"], "Storage"))
    struct.pack_into("<I", chained, 512 + 4 * 4, 100)  # the directory goes on in sector 100
    assert judge(".xls", bytes(chained)) == content_parts.FINE
    assert judge(".xls", bytes(chained), deep=True) == content_parts.Verdict(content_parts.WRONG_TYPE, "", "ole")


# --- files


def test_a_real_file(tmp_path):
    for extension in KINDS:
        path = h.put(tmp_path, f"A_1{extension}")
        assert c.inspect_file(str(path), extension) == content_parts.FINE


@pytest.mark.parametrize(("make", "why"), [(os.mkdir, "not_a_file"), (os.mkfifo, "not_a_file")])
def test_what_is_no_file_is_not_read(tmp_path, make, why):
    make(tmp_path / "A_1.pdf")
    assert c.inspect_file(str(tmp_path / "A_1.pdf"), ".pdf") == content_parts.Verdict(content_parts.UNREADABLE, why)


def test_a_file_that_is_absent_or_impossible():
    assert c.inspect_file("/nowhere/A_1.pdf", ".pdf").why == "ENOENT"
    assert c.inspect_file("/x\0y.pdf", ".pdf").code == content_parts.UNREADABLE


def test_only_the_first_and_the_last_block_of_a_file_are_read(tmp_path, monkeypatch):
    path = tmp_path / "A_1.csv"
    path.write_bytes(b"a,b\n" * 500_000)
    read = []
    pread = os.pread
    monkeypatch.setattr(
        c.os, "pread", lambda descriptor, length, offset: read.append((offset, length)) or pread(descriptor, length, offset)
    )
    assert c.inspect_file(str(path), ".csv") == content_parts.FINE
    assert read == [(0, content_parts.BLOCK), (2_000_000 - content_parts.BLOCK, content_parts.BLOCK)]


def test_deep_looks_hold_no_more_than_one_budget_together(tmp_path, monkeypatch):
    size = 100_000
    monkeypatch.setattr(c, "_ROOM", c._Room(3 * size))
    held, most, judge_whole = [], [], c.judge

    def slow(extension, parts):
        held.append(parts.size)
        most.append(sum(held))
        time.sleep(0.05)
        held.remove(parts.size)
        return judge_whole(extension, parts)

    monkeypatch.setattr(c, "judge", slow)
    paths = []
    for number in range(8):
        paths.append(tmp_path / f"A_{number}.csv")
        paths[-1].write_bytes(b"a,b\n" * (size // 4))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda path: c.inspect_file(str(path), ".csv", deep=True), paths)) == {content_parts.FINE}
    assert max(most) == 3 * size
    assert c._ROOM.free == 3 * size


def test_a_large_csv_is_judged_deeply_in_little_memory(tmp_path):
    path = tmp_path / "A_1.csv"
    path.write_bytes("이름,금액,날짜\n".encode() * 1_000_000)
    size = path.stat().st_size
    tracemalloc.start()
    try:
        assert c.inspect_file(str(path), ".csv", deep=True) == content_parts.FINE
        assert tracemalloc.get_traced_memory()[1] < 1.5 * size
    finally:
        tracemalloc.stop()


# --- damaged at random

_changes = st.lists(st.tuples(st.integers(0, 10**7), st.binary(min_size=1, max_size=8)), max_size=6)


@pytest.mark.parametrize("extension", KINDS)
@given(changes=_changes, cut=st.integers(0, 10**7), large=st.booleans(), deep=st.booleans(), more=st.binary(max_size=20))
@settings(max_examples=250, deadline=None)
def test_damaged_files_never_raise(extension, changes, cut, large, deep, more):
    data = bytearray((LARGE if large else h.CONTENTS)[extension])
    for place, piece in changes:
        data[place % len(data) : place % len(data) + len(piece)] = piece
    data = bytes(data[: cut % (len(data) + 1) or len(data)]) + more
    for judged in (extension, *KINDS):
        verdict = judge(judged, data, deep)
        assert verdict.code in ("", content_parts.DAMAGED, content_parts.WRONG_TYPE, content_parts.EMPTY)


@given(
    data=st.binary(max_size=3000),
    extension=st.sampled_from([*KINDS, ".zip", ""]),
    start=st.sampled_from([b"", b"PK\x03\x04", content_parts.OLE_MAGIC, b"%PDF-1"]),
)
@example(data=b"", extension=".pdf", start=b"")
@settings(max_examples=500, deadline=None)
def test_anything_at_all_never_raises(data, extension, start):
    verdict = judge(extension, start + data)
    assert verdict.code in ("", content_parts.DAMAGED, content_parts.WRONG_TYPE, content_parts.EMPTY)


@given(head=st.binary(min_size=512, max_size=1024))
@settings(max_examples=300, deadline=None)
def test_headers_of_compound_files_never_raise(head):
    data = content_parts.OLE_MAGIC + head[8:28] + struct.pack("<HH", 0xFFFE, 9) + head[32:] + h.CONTENTS[".xls"][512:]
    assert judge(".xls", data).code in ("", content_parts.DAMAGED, content_parts.WRONG_TYPE)
