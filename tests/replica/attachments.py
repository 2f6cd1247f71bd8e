"""The attachments of the day and what belongs to them: the export of the target query, and the log of the batch.

The files are small, and structurally what their extension says.
"""

from __future__ import annotations

import csv
import io
import os
import struct
import zipfile
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .customers import AUTOMATIONS, CUSTOMERS, Customer
from .logsdb import KST
from .system import remove_tree

COLUMNS = ("CUST_ID", "ATTACH_FILE_NAME", "ORG_ID")
WANTED = "SELECT AUTO_ID, CUST_ID, ATTACH_PATTERN FROM TARGET ORDER BY CUST_ID"
_EVENING = 22
_BATCH_AT = timedelta(hours=5, minutes=10)
_SETTLED = timedelta(hours=1)


def statement_folder(nas_root: Path, day: datetime) -> Path:
    return nas_root / "AC" / "statement" / day.strftime("%Y%m%d")


def days_of(now: datetime) -> list[datetime]:
    """Today; in the late evening also tomorrow, so that a test may run past midnight."""
    return [now, now + timedelta(days=1)] if now.hour >= _EVENING else [now]


def made_at(day: datetime, now: datetime) -> datetime:
    """When the batch made the files of a day: in its early morning, or some time ago where that is still to come."""
    return min(day.replace(hour=0, minute=0, second=0, microsecond=0) + _BATCH_AT, now - _SETTLED)


def deliver(disk: Path, now: datetime) -> None:
    """Have the files of the day on the disk of a NAS as the batch left them; what else lies there goes. What is right is not touched."""
    days = days_of(now)
    wanted = {customer_path: (customer, day) for day in days for customer in CUSTOMERS for customer_path in [_path(disk, customer, day)]}
    folders = {folder for path in wanted for folder in path.parents if folder.is_relative_to(disk)}
    for folder, names, files in os.walk(disk):
        here = Path(folder)
        here.chmod(0o755)
        for name in [*names, *files]:
            entry = here / name
            if entry.is_dir() and not entry.is_symlink():
                if entry not in folders:
                    remove_tree(entry)
                    names.remove(name)
            elif entry not in wanted:
                entry.unlink()
    for path, (customer, day) in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(path, content(customer, path.suffix, day), made_at(day, now), disk)


def _path(disk: Path, customer: Customer, day: datetime) -> Path:
    return statement_folder(disk, day) / customer.attachment(day.strftime("%Y%m%d"))


def _put(path: Path, data: bytes, moment: datetime, disk: Path) -> None:
    """Write a file unless it is there as it should be; whoever reads sees the old one or the new one."""
    if path.is_file() and path.stat().st_mode & 0o777 == 0o644 and path.read_bytes() == data:
        return
    new = disk / ".new"
    new.write_bytes(data)
    new.chmod(0o644)
    written = moment.replace(tzinfo=KST).timestamp()
    os.utime(new, (written, written))
    if path.is_dir():
        remove_tree(path)
    new.replace(path)


def export_of(rows: Iterable[Sequence[Any]], day: datetime) -> str:
    """The wanted names of a day as CSV, from the rows of WANTED."""
    departments = {automation.auto_id: automation.org_id for automation in AUTOMATIONS}
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for auto_id, customer, pattern in rows:
        writer.writerow([customer, (pattern or "").replace("{date}", day.strftime("%Y%m%d")), departments[int(auto_id)]])
    return buffer.getvalue()


def batch_log(day: datetime, now: datetime) -> str:
    """What the batch says of a day on which all went well."""
    moment = f"{made_at(day, now):%Y-%m-%d %H:%M:%S}"
    return f"{moment} statements of {day:%Y-%m-%d}: started\n{moment} {len(CUSTOMERS)} files written, 0 errors\n{moment} finished\n"


def content(customer: Customer, extension: str, day: datetime) -> bytes:
    """A statement of one customer in the format of the extension."""
    rows = [("Customer", customer.cust_id), ("Date", f"{day:%Y-%m-%d}"), ("Amount", str(1000 + customer.number * 37))]
    return _FORMATS[extension](rows)


Rows = list[tuple[str, str]]


def _csv(rows: Rows) -> bytes:
    return "".join(f"{name},{value}\r\n" for name, value in rows).encode()


def _pdf(rows: Rows) -> bytes:
    text = " T* ".join(f"({name}: {value}) Tj" for name, value in rows)
    stream = f"BT /F1 12 Tf 14 TL 72 720 Td {text} ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


_XLSX_PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<sheets><sheet name="Statement" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}


def _xlsx(rows: Rows) -> bytes:
    cells = "".join("<row>" + "".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in row) + "</row>" for row in rows)
    sheet = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**_XLSX_PARTS, "xl/worksheets/sheet1.xml": sheet}.items():
            # The same contents give the same file: no time of its own.
            part = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            archive.writestr(part, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>' + text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _xls(rows: Rows) -> bytes:
    """An Excel 97 workbook (BIFF8) in an OLE2 container: header, one FAT sector, one directory sector, the stream."""
    stream = _biff_workbook(rows)
    stream += bytes(-len(stream) % 512 + 4096)  # shorter streams would have to live in the mini stream
    sectors = len(stream) // 512
    end, free, fat_mark = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII", bytes.fromhex("d0cf11e0a1b11ae1"), 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0
    )
    header += struct.pack("<109I", 0, *[free] * 108)
    chain = [fat_mark, end, *range(3, sectors + 2), end]
    fat = struct.pack("<128I", *chain, *[free] * (128 - len(chain)))
    folder = _ole_entry("Root Entry", 5, 1, end, 0) + _ole_entry("Workbook", 2, free, 2, len(stream)) + _ole_entry("", 0, free, 0, 0) * 2
    return header + fat + folder + stream


def _ole_entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    text = name.encode("utf-16-le") + b"\0\0" if name else b""
    return struct.pack("<64sHBBIII36xIQ", text, len(text), kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child, start, size)


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def _biff_workbook(rows: Rows) -> bytes:
    begin = struct.pack("<HHHHII", 0x0600, 0x0005, 0x0DBB, 0x07CC, 0, 6)
    sheet_begin = struct.pack("<HHHHII", 0x0600, 0x0010, 0x0DBB, 0x07CC, 0, 6)
    name = b"Statement"
    tail = _record(0x000A, b"")
    bound = struct.pack("<IHBB", 0, 0, len(name), 0) + name
    offset = len(_record(0x0809, begin) + _record(0x0042, b"\xb0\x04") + _record(0x0085, bound) + tail)
    bound = struct.pack("<IHBB", offset, 0, len(name), 0) + name
    cells = b"".join(
        _record(0x0204, struct.pack("<HHHHB", row, column, 15, len(text), 0) + text.encode("ascii"))
        for row, pair in enumerate(rows)
        for column, text in enumerate(pair)
    )
    size = _record(0x0200, struct.pack("<IIHHH", 0, len(rows), 0, 2, 0))
    book = _record(0x0809, begin) + _record(0x0042, b"\xb0\x04") + _record(0x0085, bound) + tail
    return book + _record(0x0809, sheet_begin) + size + cells + tail


_FORMATS: dict[str, Callable[[Rows], bytes]] = {".csv": _csv, ".pdf": _pdf, ".xlsx": _xlsx, ".xls": _xls}
