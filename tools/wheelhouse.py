"""Pin the packages of the role check_runtime, and build a wheelhouse of them.

python tools/wheelhouse.py pin
    Writes roles/check_runtime/files/requirements.txt: the versions of requirements-dev.txt with all that they bring along, the
    same for every Python, with the hashes of their wheels.

python tools/wheelhouse.py build [--pythons "3.11 3.12"] [--machine x86_64] [--output folder]
    Downloads those wheels for hosts without a way to an index.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
REQUIREMENTS = CHECKOUT / "roles/check_runtime/files/requirements.txt"
DEVELOPMENT = CHECKOUT / "requirements-dev.txt"
DRIVERS = ("boto3", "dnspython", "oracledb")
PIP = "pip==26.3"  # a wheelhouse brings its own, for hosts without one
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")
# RHEL 8 has glibc 2.28; every system of the README has that or a newer one.
PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
LONGEST = 300  # seconds for one call of pip
HEAD = """\
# What checks with a driver need on a host: made by `python tools/wheelhouse.py pin` from requirements-dev.txt, with the hashes of the
# wheels for Python {pythons} on {machines} with glibc 2.28 or newer.
"""


def main(arguments: list[str]) -> int:
    """Do what the first argument says; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("pin")
    build = commands.add_parser("build")
    build.add_argument("--pythons", type=lambda text: text.replace(",", " ").split(), default=list(PYTHONS))
    build.add_argument("--machine", choices=MACHINES, default=MACHINES[0])
    build.add_argument("--output", type=Path, default=CHECKOUT / ".cache/wheelhouse")
    build.add_argument("--requirements", type=Path, default=REQUIREMENTS)
    options = parser.parse_args(arguments)
    if options.command == "pin":
        REQUIREMENTS.write_text(pinned(), encoding="utf-8")
        return 0
    strange = [python for python in options.pythons if python not in PYTHONS]
    if strange or not options.pythons:
        print(f"wheelhouse: no pins for Python {', '.join(strange) or '(none given)'}; there are {', '.join(PYTHONS)}", file=sys.stderr)
        return 2
    return download(options.pythons, options.machine, options.output, options.requirements)


def download(pythons: list[str], machine: str, output: Path, requirements: Path) -> int:
    """Fill the wheelhouse, without what is not pinned (any more); returns the exit code."""
    output.mkdir(parents=True, exist_ok=True)
    wanted: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="wheelhouse-") as folder:
        report = Path(folder) / "report.json"
        for python in pythons:
            done = pip(
                "download", "--quiet", "--require-hashes", "--no-deps", *target(python, machine), "-d", str(output), "-r", str(requirements)
            )
            if done.returncode == 0:
                # Which of the files belong to this Python; those that are there already are not named by `download`.
                done = resolve(python, machine, ["-r", str(requirements)], report, "--no-deps", "--no-index", "--find-links", str(output))
            if done.returncode:
                print(f"wheelhouse: Python {python} on {machine}: {done.stderr.strip()[-1500:]}", file=sys.stderr)
                return 1
            wanted |= {item["download_info"]["url"].rsplit("/", 1)[1].replace("%2B", "+") for item in installs(report)}
    for stale in sorted({path.name for path in output.glob("*.whl")} - wanted):
        (output / stale).unlink()
    size = sum(path.stat().st_size for path in output.glob("*.whl")) / 1e6
    print(f"{output}: {len(wanted)} wheels, {size:.0f} MB, for Python {', '.join(pythons)} on {machine}")
    return 0


def pinned() -> str:
    """Return the requirements file: every package at one version, with the hashes of all wheels that a host may want."""
    versions: dict[str, str] = {}
    hashes: dict[str, set[str]] = {}
    named = [*re.findall(rf"(?m)^(?:{'|'.join(DRIVERS)})==\S+", DEVELOPMENT.read_text(encoding="utf-8")), PIP]
    with tempfile.TemporaryDirectory(prefix="wheelhouse-") as folder:
        report, constraints = Path(folder) / "report.json", Path(folder) / "constraints.txt"
        # The oldest Python comes first: what it can have, the newer ones can have too.
        for python in PYTHONS:
            for machine in MACHINES:
                constraints.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()), encoding="utf-8")
                done = resolve(python, machine, [*named, "-c", str(constraints)], report)
                if done.returncode:
                    sys.exit(f"wheelhouse: Python {python} on {machine}: {done.stderr.strip()[-1500:]}")
                for item in installs(report):
                    name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
                    versions[name] = item["metadata"]["version"]
                    hashes.setdefault(name, set()).add(item["download_info"]["archive_info"]["hashes"]["sha256"])
    head = HEAD.format(pythons=f"{PYTHONS[0]} to {PYTHONS[-1]}", machines=" and ".join(MACHINES))
    return head + "".join(entry(f"{name}=={version}", sorted(hashes[name])) for name, version in sorted(versions.items()))


def entry(pin: str, digests: list[str]) -> str:
    """Return one package of the requirements file, a hash a line."""
    return " \\\n".join([pin, *(f"    --hash=sha256:{digest}" for digest in digests)]) + "\n"


def resolve(python: str, machine: str, wanted: list[str], report: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Let pip say what it would install for another Python."""
    place = str(report.parent / "nowhere")
    dry = ["--quiet", "--dry-run", "--ignore-installed", "--report", str(report), "--target", place]
    return pip("install", *dry, *target(python, machine), *options, *wanted)


def installs(report: Path) -> list[dict[str, Any]]:
    """Return the entries of pip's report."""
    return json.loads(report.read_text(encoding="utf-8"))["install"]


def target(python: str, machine: str) -> list[str]:
    """Return pip's options for a Python and a machine, wheels only."""
    platforms = [option for platform in PLATFORMS for option in ("--platform", f"{platform}_{machine}")]
    return ["--only-binary", ":all:", "--python-version", python, "--implementation", "cp", *platforms]


def pip(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python's pip."""
    argv = [sys.executable, "-m", "pip", command, "--disable-pip-version-check", "--no-input", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=LONGEST, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
