# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The session of botocore and the key that it signs with."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from ..._core.errors import DriverMissing, WrongQuestion


@dataclass(frozen=True)
class Access:
    """What to sign with: a key ("" for what the profile, the environment or the instance gives); never shown."""

    key_id: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    profile: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that must not be in any text."""
        return tuple(text for text in (self.secret, self.token, self.key_id) if text)

    def arguments(self) -> dict[str, str]:
        """Return what a client is made with."""
        given = {"aws_access_key_id": self.key_id, "aws_secret_access_key": self.secret, "aws_session_token": self.token}
        return {name: value for name, value in given.items() if value}


def load() -> tuple[Any, Any, Any]:
    try:
        import botocore.config
        import botocore.exceptions
        import botocore.session
    except ImportError as error:
        install = f"{sys.executable} -m pip install boto3 dnspython"
        raise DriverMissing(f"SES needs the library boto3, and {sys.executable} lacks it", libraries=["boto3"], install=install) from error
    return botocore.session, botocore.config, botocore.exceptions


def session_of(module: Any, access: Access, exceptions: Any) -> Any:
    session = module.Session(profile=access.profile or None)
    try:
        session.get_scoped_config()
    except exceptions.ProfileNotFound as error:
        raise WrongQuestion(
            "profile", access.profile, "is not in the AWS configuration here", "give one of ~/.aws, or credentials_from"
        ) from error
    return session


def resolved_key(session: Any, access: Access, exceptions: Any) -> str:
    """Return the id of the key that is used; raises WrongQuestion where there is none."""
    if access.key_id:
        return access.key_id
    try:
        found = session.get_credentials()
        # Asking for it is what makes a profile of SSO or an assumed role fetch its key.
        key_id = str(found.access_key or "") if found else ""
    except (exceptions.BotoCoreError, exceptions.ClientError) as error:
        if access.profile:
            remedy = "log in again (aws sso login), or correct the role and its source in the AWS configuration"
            raise WrongQuestion("profile", access.profile, f"gives no key ({_kind_of(error)})", remedy) from error
        problem = f"is not given, nor credentials_from, and AWS's own places fail ({_kind_of(error)})"
        raise WrongQuestion("profile", None, problem, _REMEDY) from error
    if found is None:
        raise WrongQuestion("profile", None, "is not given, nor credentials_from, and neither environment nor instance has a key", _REMEDY)
    return key_id


def _kind_of(error: Exception) -> str:
    """Return the name of an error and AWS's code in it; not its text, which may hold names of accounts."""
    code = getattr(error, "response", {}).get("Error", {}).get("Code")
    return f"{type(error).__name__}: {code}" if code else type(error).__name__


_REMEDY = "name a .env with credentials_from, or give profile"
