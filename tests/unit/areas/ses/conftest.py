# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replica's AWS for the tests of SES: started once, and restored before each test."""

from __future__ import annotations

import pytest

from . import helpers as h

_OF_THE_ENVIRONMENT = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION")


@pytest.fixture(scope="session")
def started_aws(tmp_path_factory):
    """Start the stand-in, and stop it after the last test."""
    made = h.Aws(tmp_path_factory.mktemp("aws"))
    yield made
    made.close()


@pytest.fixture
def aws(started_aws, monkeypatch):
    """Return the restored stand-in, without AWS variables in the environment."""
    for name in _OF_THE_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    started_aws.restore()
    started_aws.front.calls.clear()
    return started_aws


@pytest.fixture
def ask(aws, tmp_path):
    """Return a function that reads SES once, with changed options."""
    return lambda **changed: h.read(aws, tmp_path, **changed)
