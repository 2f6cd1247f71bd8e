# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bench asks of attachments: a million files against find, the product's own size, whole plays against
ansible.builtin.find, and a slow mount.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from table import FRESH, Row

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT)]
DAY = 1_750_000_000  # modification time of all files: none is still being written
FOLDERS = 200
_READ = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import read_files as reader
from ansible_collections.ops.remediation.plugins.module_utils._core import children as _process
options = json.load(open(sys.argv[2]))
def work():
    started, cpu = time.perf_counter(), time.process_time()
    answer = reader.read(reader.prepare(**options), **options)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "mb": own, "took": answer["took"],
        "counts": answer["counts"], "files": answer["files"]}
started = time.perf_counter()
told = _process.call(work, 300).get()
told["outside"] = time.perf_counter() - started
print(json.dumps(told))
"""


def name_of(number: int, extension: str = "xls") -> str:
    """Return the name of a statement as the product has it."""
    return f"BAC04V403R_MERSTAT_GID_{number:08}_20261121_1.{extension}"


def make_files(root: Path, count: int, folders: int, contents: Callable[[int], bytes] | None = None) -> None:
    """Make so many files, spread over folders; the number of a file is in its name."""
    each = count // folders
    for folder in range(folders):
        path = root / f"{folder:03}"
        path.mkdir(parents=True)
        descriptor = os.open(path, os.O_RDONLY)
        for number in range(folder * each, (folder + 1) * each):
            data = contents(number) if contents else b""
            file = os.open(name_of(number), os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=descriptor)
            if data:
                os.write(file, data)
            os.utime(file, (DAY, DAY))
            os.close(file)
        os.close(descriptor)


def read(folder: Path, collections: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Read in a bounded child of a Python of its own, as the module does; what was measured there."""
    path = folder / "options.json"
    path.write_text(json.dumps({"answer_within": 250, "details": 10, **options}), encoding="utf-8")
    command = [*FRESH, sys.executable, "-c", _READ, str(collections), str(path)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout)


def timed(argv: list[str]) -> tuple[float, float]:
    """Return the wall clock and CPU seconds of a program; what it writes is thrown away."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(argv, stdout=subprocess.DEVNULL, timeout=300, check=True)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# --- a million files


def million(folder: Path, collections: Path, rounds: int = 5) -> list[Row]:
    """1,000,000 files in 200 folders, 10,000 wanted names: against find -type f and find -printf, memory, and linear cost."""
    root = folder / "million"
    sizes = (10_000, 100_000, 1_000_000)
    walls: dict[int, float] = {}
    rows = []
    made = 0
    for size in sizes:
        # The folders of the smaller sizes are the first ones of the next.
        each = 1_000_000 // FOLDERS
        while made < size // each:
            _fill(root, made, each)
            made += 1
        wanted = [name_of(number * (size // min(10_000, size))) for number in range(min(10_000, size))]
        options = {"roots": [str(root)], "wanted": wanted, "contents": False}
        read(folder, collections, options)
        told = [read(folder, collections, options) for _round in range(rounds)]
        if told[0]["files"] != size or told[0]["counts"]["INVALID"] != len(wanted):
            raise SystemExit(f"bench: not all was seen: {told[0]}")
        walls[size] = statistics.median(one["took"]["walk"] for one in told)
        print(
            f"  {size:>9} files: walk {walls[size]:.3f} s, all {statistics.median(one['seconds'] for one in told):.3f} s, {told[0]['mb']:.0f} MB"
        )
    pairs = []
    for _round in range(rounds):
        plain, plain_cpu = timed(["find", str(root), "-type", "f"])
        printf, _cpu = timed(["find", str(root), "-type", "f", "-printf", "%s %f\\n"])
        told_one = read(folder, collections, options)
        pairs.append((told_one, plain, printf, plain_cpu))
    ours = statistics.median(pair[0]["seconds"] for pair in pairs)
    peak = max(pair[0]["mb"] for pair in pairs)
    plain, printf = statistics.median(pair[1] for pair in pairs), statistics.median(pair[2] for pair in pairs)
    cpu = statistics.median(pair[0]["cpu"] / pair[3] for pair in pairs)
    print(f"  CPU time, ours / find -type f: {cpu:.2f}")
    rows.append(
        Row("1,000,000 files, 10,000 wanted / find -type f", ours, plain, statistics.median(p[0]["seconds"] / p[1] for p in pairs), 2.0)
    )
    rows.append(Row("the same / find -printf '%s %f'", ours, printf, statistics.median(p[0]["seconds"] / p[2] for p in pairs), 1.0))
    rows.append(Row("the same, memory in MB / 200", peak, 200.0, peak / 200, 1.0))
    a_file = [walls[size] / size for size in sizes]
    rows.append(Row("walk a file, 1,000,000 / 100,000 files", a_file[2] * 1e6, a_file[1] * 1e6, a_file[2] / a_file[1], 1.5))
    shutil.rmtree(root)
    return rows


def _fill(root: Path, number: int, each: int) -> None:
    path = root / f"{number:03}"
    path.mkdir(parents=True)
    descriptor = os.open(path, os.O_RDONLY)
    for one in range(number * each, (number + 1) * each):
        file = os.open(name_of(one), os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=descriptor)
        os.utime(file, (DAY, DAY))
        os.close(file)
    os.close(descriptor)


# --- the product's own size


def product(folder: Path, collections: Path, rounds: int = 7) -> list[Row]:
    """10,000 files in one folder, 1,000 wanted names: seconds inside the module with contents judged, and matches a second without."""
    from tests.replica.attachments import _FORMATS

    kinds = {extension: make([("Customer", "GID"), ("Date", "2026-11-21"), ("Amount", "1037")]) for extension, make in _FORMATS.items()}
    root = folder / "product"
    root.mkdir()
    extensions = sorted(kinds)
    names = [name_of(number, extensions[number % 4][1:]) for number in range(10_000)]
    for number, name in enumerate(names):
        (root / name).write_bytes(kinds[extensions[number % 4]])
        os.utime(root / name, (DAY, DAY))
    options = {"roots": [str(root)], "wanted": names[::10]}
    told = [(read(folder, collections, options), read(folder, collections, {**options, "contents": False})) for _round in range(rounds)]
    if any(one["counts"]["FOUND"] != 1000 for one in told[0]):
        raise SystemExit(f"bench: not all was found: {told[0]}")
    seconds, plain = (statistics.median(pair[number]["seconds"] for pair in told) for number in (0, 1))
    each = plain / 1000
    print(
        f"  CPU time: {min(one['cpu'] for one, _plain in told):.3f} s with contents, {min(one['cpu'] for _whole, one in told):.3f} s without"
    )
    shutil.rmtree(root)
    return [
        Row("10,000 files, 1,000 wanted with contents / 0.3 s", seconds, 0.3, seconds / 0.3, 1.0),
        Row("a match in ms / 20 ms", each * 1000, 20.0, each / 0.02, 0.5),
        Row("10,000 matches a second / ours", 10_000.0, 1 / each, 10_000 * each, 1.0),
    ]


# --- whole plays


def plays(folder: Path, _collections: Path, rounds: int = 3) -> list[Row]:
    """200,000 files: the play with this module against one with ansible.builtin.find that asks the same."""
    root = folder / "plays"
    make_files(root, 200_000, 40)
    wanted = folder / "wanted.txt"
    wanted.write_text("".join(f"{name_of(number * 200)}\n" for number in range(1000)), encoding="utf-8")
    ours, stock = folder / "ours.yml", folder / "stock.yml"
    ours.write_text(_OURS.format(root=root, wanted=wanted, state=folder / "state"), encoding="utf-8")
    stock.write_text(_STOCK.format(root=root, wanted=wanted), encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    measured: dict[str, list[float]] = {"ours.yml": [], "stock.yml": []}
    for number in range(rounds):
        # One round with the stock module says enough: it takes minutes.
        for play in (ours, stock) if number == 0 else (ours,):
            started = time.perf_counter()
            done = subprocess.run(
                ["ansible-playbook", "-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={_python()}", str(play)],
                cwd=CHECKOUT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=560,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"bench: {play.name} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
            measured[play.name].append(time.perf_counter() - started)
    shutil.rmtree(root)
    seconds, reference = statistics.median(measured["ours.yml"]), measured["stock.yml"][0]
    return [Row("play over 200,000 files / ansible.builtin.find", seconds, reference, seconds / reference, 1 / 20)]


def _python() -> str:
    """Return the distribution's Python, which a host has; one in front of it in the PATH may be a shim."""
    return "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


_OURS = """
- name: Ask with this collection
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Look for the wanted names
      ops.remediation.attachment_scan:
        roots: [{root}]
        wanted_file: {wanted}
        contents: false
        state_dir: {state}
      register: told

    - name: Expect all to be there
      ansible.builtin.assert:
        that: told.counts.INVALID == 1000
"""
_STOCK = """
- name: Ask with the stock module
  hosts: localhost
  gather_facts: false
  vars:
    wanted: "{{{{ lookup('ansible.builtin.file', '{wanted}').splitlines() }}}}"
  tasks:
    - name: Find all files
      ansible.builtin.find:
        paths: [{root}]
        recurse: true
        file_type: file
        patterns: ['*.xls', '*.xlsx', '*.pdf', '*.csv']
      register: told

    - name: Expect the wanted ones among them
      ansible.builtin.assert:
        that: wanted | difference(told.files | map(attribute='path') | map('basename')) == []
"""


# --- a slow mount

_SLOW = """
import errno, os, stat, sys, time
import mfusepy
FOLDERS, FILES = int(sys.argv[2]), int(sys.argv[3])
class Slow(mfusepy.Operations):
    use_ns = True
    def getattr(self, path, fh=None):
        time.sleep(0.005)
        folder = path.count("/") <= 1
        if not folder and not path.endswith(".xls"):
            raise mfusepy.FuseOSError(errno.ENOENT)
        return dict(st_mode=(stat.S_IFDIR | 0o755) if folder else (stat.S_IFREG | 0o644), st_nlink=1, st_size=0, st_mtime=1_750_000_000 * 10**9)
    def readdir(self, path, fh):
        time.sleep(0.005)
        names = [f"{{n:03}}" for n in range(FOLDERS)] if path == "/" else [f"F{{path[1:]}}_{{n}}.xls" for n in range(FILES)]
        for name in [".", ".."] + names:
            yield name, dict(st_mode=(stat.S_IFDIR if path == "/" else stat.S_IFREG)), 0
    def opendir(self, path):
        time.sleep(0.005)
        return 0
mfusepy.FUSE(Slow(), sys.argv[1], foreground=True, nothreads=False, ro=True)
""".replace("{{", "{").replace("}}", "}")


def slow(folder: Path, collections: Path, rounds: int = 3) -> list[Row]:
    """A mount that takes 5 ms for each operation: folders read by many threads against one after the other."""
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("bench: the slow mount is left out: it needs root and /dev/fuse")
        return []
    mount = folder / "slow"
    mount.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", _SLOW, str(mount), "200", "20"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as server:
        try:
            end = time.monotonic() + 20
            while not os.path.ismount(mount):
                if time.monotonic() > end or server.poll() is not None:
                    raise SystemExit("bench: the slow mount did not come up")
                time.sleep(0.1)
            pairs = [(_walk(collections, mount, 16), _walk(collections, mount, 1)) for _round in range(rounds)]
        finally:
            subprocess.run(["umount", "-l", str(mount)], check=False, timeout=20)
            server.terminate()
            server.wait(timeout=20)
    ours, reference = statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)
    return [Row("slow mount, folders in parallel / one by one", ours, reference, statistics.median(a / b for a, b in pairs), 1 / 3)]


_WALK = """
import sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import match as a, walk as w
from ansible_collections.ops.remediation.plugins.module_utils._shared import dated_paths as r
root = r.Root(sys.argv[2], sys.argv[2], sys.argv[2])
started = time.perf_counter()
walk = w.Walker(a.Index([a.Wanted("F001_3.xls")]), a.EXTENSIONS, depth=3, until=time.monotonic() + 60, readers=int(sys.argv[3])).walk([root])
took = time.perf_counter() - started
assert sum(folder.files for folder in walk.folders) == 4000 and len(list(walk.hits)) == 1, walk.folders[:3]
print(took)
"""


def _walk(collections: Path, mount: Path, readers: int) -> float:
    command = [sys.executable, "-c", _WALK, str(collections), str(mount), str(readers)]
    return float(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)


PARTS = {"million": million, "product": product, "plays": plays, "slow": slow}


def rows(folder: Path, collections: Path, part: str) -> list[Row]:
    """Return the rows of one of PARTS."""
    return PARTS[part](folder, collections)
