# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of S3: list a prefix as folders, and inspect objects. It writes nothing, and reads no object wholly unless ``deep``.

boto3 is imported when a root needs it. Product facts: ``s3://<bucket>/statement/YYYYMMDD/<file>``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..._core.errors import DriverMissing, WrongQuestion
from ..._core.references import read_secret
from ..._shared.dated_paths import Root
from .content import judge, room_for
from .content_parts import UNREADABLE, Verdict, read_parts
from .match import Index, encoded
from .walk import AT_ONCE, SILENT, Folder

CONNECT_WITHIN = 3.0  # seconds
READ_WITHIN = 5.0
KEYS = {
    "access": ("AWS_ACCESS_KEY", "SES_ACCESS_KEY"),
    "secret": ("AWS_SECRET_KEY", "SES_SECRET_KEY"),
    "region": ("AWS_REGION", "SES_REGION"),
}


@dataclass
class Thing:
    """One object: its path, size, time (epoch seconds), and its ETag, which is equal for equal contents."""

    path: bytes
    size: int
    modified: float
    tag: str


@dataclass
class Listing:
    """What a prefix holds: its folders, the names in each, and by path the objects whose names match."""

    folders: list[Folder] = field(default_factory=list)
    names: list[tuple[Folder, list[bytes]]] = field(default_factory=list)
    objects: dict[bytes, Thing] = field(default_factory=dict)


def connect(options: Mapping[str, Any] | None) -> Any:
    """Return a client for S3. options: ``endpoint region profile env_file`` (the applications' .env with the key).

    Raises DriverMissing where boto3 is not installed, WrongQuestion or NeedsUser for an env_file without the key.
    """
    options = options or {}
    try:
        import boto3
        import botocore.config
        import botocore.exceptions
    except ImportError as error:
        install = f"{sys.executable} -m pip install boto3"
        raise DriverMissing(f"S3 needs the library boto3, and {sys.executable} lacks it", libraries=["boto3"], install=install) from error
    given: dict[str, Any] = {}
    if options.get("env_file"):
        given = {
            "aws_access_key_id": _first(options["env_file"], KEYS["access"]),
            "aws_secret_access_key": _first(options["env_file"], KEYS["secret"]),
        }
    region = options.get("region") or _region(options.get("env_file"))
    try:
        session = boto3.session.Session(profile_name=options.get("profile") or None, region_name=region or None)
    except botocore.exceptions.ProfileNotFound as error:
        remedy = "give a profile of the AWS configuration of the user that runs the check"
        raise WrongQuestion("s3.profile", options.get("profile"), "is no profile here", remedy) from error
    config = botocore.config.Config(
        connect_timeout=CONNECT_WITHIN, read_timeout=READ_WITHIN, retries={"total_max_attempts": 2, "mode": "standard"}
    )
    try:
        return session.client("s3", endpoint_url=options.get("endpoint") or None, config=config, **given)
    except ValueError as error:
        raise WrongQuestion("s3.endpoint", options.get("endpoint"), f"cannot be used ({error})", "give it as https://host:port") from error


def _first(env_file: str, names: Sequence[str]) -> str:
    for name in names[:-1]:
        try:
            return read_secret({"env_file": env_file, "key": name})
        except WrongQuestion:
            continue
    return read_secret({"env_file": env_file, "key": names[-1]})


def _region(env_file: str | None) -> str:
    if not env_file:
        return ""
    try:
        return _first(env_file, KEYS["region"])
    except WrongQuestion:
        return ""


def errors() -> tuple[type[Exception], type[Exception]]:
    """Return the exceptions that S3 raises; boto3 must have been imported."""
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError


def reason_of(error: Exception) -> str:
    """Return the code of an error of S3 (NoSuchBucket, AccessDenied), or the name of its class (EndpointConnectionError)."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return str(code or type(error).__name__)


def listing(client: Any, root: Root, number: int, index: Index, *, depth: int, until: float) -> Listing:
    """List one prefix page by page, until the end or ``until`` (monotonic seconds); a listing that is cut off has the problem SILENT."""
    prefix = root.path[len(f"s3://{root.bucket}/") :]
    prefix = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    top = _top(root, number)
    by_path = {"": top}
    found = Listing([top])
    failures = (OSError, ValueError, *errors())
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=root.bucket, Prefix=prefix):
            _take(page.get("Contents", ()), prefix, by_path, found, index, depth)
            if time.monotonic() >= until:
                top.problem = SILENT
                break
    except failures as error:
        top.problem = reason_of(error)
    return found


def silent(root: Root, number: int) -> Listing:
    """Return the empty listing of a prefix that did not answer in time."""
    top = _top(root, number)
    top.problem = SILENT
    return Listing([top])


def _top(root: Root, number: int) -> Folder:
    return Folder(encoded(root.path.rstrip("/")), number, 0)


def _take(contents: Sequence[Mapping[str, Any]], prefix: str, by_path: dict[str, Folder], found: Listing, index: Index, depth: int) -> None:
    """Sort the objects of a page into folders; a key that ends with a slash is a folder that the AWS console made."""
    by_folder: dict[str, dict[bytes, Mapping[str, Any]]] = {}
    for entry in contents:
        above, _slash, name = entry["Key"][len(prefix) :].rpartition("/")
        if name and "\0" not in name and (above.count("/") + 1 if above else 0) <= depth:
            by_folder.setdefault(above, {})[encoded(name)] = entry
    top = by_path[""]
    for above, entries in by_folder.items():
        if above not in by_path:
            by_path[above] = Folder(top.path + b"/" + encoded(above), top.root, above.count("/") + 1)
            found.folders.append(by_path[above])
        folder, names = by_path[above], list(entries)
        folder.files += len(names)
        for start in range(0, len(names), AT_ONCE):
            part = names[start : start + AT_ONCE]
            hits = index.nearly(part, b"\0".join(part))
            folder.hits += hits
            for name in hits:
                path, entry = folder.path + b"/" + name, entries[name]
                found.objects[path] = Thing(path, entry["Size"], entry["LastModified"].timestamp(), entry.get("ETag", ""))
        found.names.append((folder, names))


def inspect_object(client: Any, path: str, size: int, extension: str, *, deep: bool = False) -> Verdict:
    """Read the first and last blocks of an object, or all of it with ``deep``, and return the verdict."""
    bucket, _slash, key = path[len("s3://") :].partition("/")

    def read(offset: int, length: int) -> bytes:
        if length <= 0:
            return b""
        answer = client.get_object(Bucket=bucket, Key=key, Range=f"bytes={offset}-{offset + length - 1}")
        with answer["Body"] as body:
            data: bytes = body.read(length)
            return data

    if not size:
        return Verdict("attachments.empty")
    failures = (OSError, *errors())
    try:
        with room_for(size, deep=deep):
            return judge(extension, read_parts(read, size, deep=deep))
    except failures as error:
        return Verdict(UNREADABLE, reason_of(error))
