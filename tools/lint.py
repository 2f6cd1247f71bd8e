"""Run every linter, also after one has complained."""

import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SHELL_SCRIPTS = ("tools/setup", "tools/install_os_packages", ".ci/run")
LINTERS = [
    ["ruff", "check"],
    ["ruff", "format", "--check"],
    ["mypy", "--follow-imports", "silent", "-p", "ansible_collections.ops.remediation.plugins", "-p", "tools"],
    ["yamllint", "--strict", "."],
    ["ansible-lint", "--nocolor", "--offline"],
    ["antsibull-changelog", "lint"],
    ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "."],
]


def main() -> int:
    """Run them; returns 1 when one complained."""
    linters = [*LINTERS, ["shellcheck", *SHELL_SCRIPTS]] if shutil.which("shellcheck") else LINTERS
    failed = 0
    for argv in linters:
        name = " ".join(argv[:2])
        program = Path(sys.executable).with_name(argv[0])
        # What a linter says is read only when it complains.
        done = subprocess.run(
            [str(program) if program.exists() else argv[0], *argv[1:]],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(f"lint: {name}: {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
        if done.returncode:
            failed += 1
            print(done.stdout, flush=True)
    print(f"lint: {len(linters) - failed} passed, {failed} failed", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
