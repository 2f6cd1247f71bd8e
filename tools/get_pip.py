"""Stands in for get-pip.py, which ansible-test would download from a host that not every network reaches.

ansible-test runs it with the interpreter of an empty virtual environment, as `<this> [pip options] pip==<version> --no-setuptools
--no-wheel`. Python's own ensurepip supplies a pip, and that one installs the wanted version from the package index.
"""

import os
import subprocess
import sys

os.environ.pop("GET_PIP", None)
subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], check=True, stdout=subprocess.DEVNULL)
wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--upgrade", *wanted]))
