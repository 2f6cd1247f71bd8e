# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The botocore session: its library, its profile, its region and the key that signs the queries.

botocore is the library below boto3. boto3 itself would add half as long an import again, for resources and transfers that nothing here uses.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..._core.errors import DriverMissing, WrongQuestion

_REMEDY = "name a .env with credentials_from, or set profile"


@dataclass(frozen=True)
class Access:
    """The key that signs queries; key_id is "" for the key of the profile, the environment or the instance role. Never printed."""

    key_id: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    profile: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must not appear in any text."""
        return tuple(text for text in (self.secret, self.token, self.key_id) if text)

    def arguments(self) -> dict[str, str]:
        """Return the arguments of a botocore client."""
        given = {"aws_access_key_id": self.key_id, "aws_secret_access_key": self.secret, "aws_session_token": self.token}
        return {name: value for name, value in given.items() if value}


class Library(NamedTuple):
    """The modules of botocore that are used."""

    session: Any
    config: Any
    exceptions: Any


def load() -> Library:
    """Import botocore; raises DriverMissing."""
    try:
        import botocore.config
        import botocore.exceptions
        import botocore.session
    except ImportError as error:
        install = f"{sys.executable} -m pip install boto3 dnspython"
        raise DriverMissing(f"SES needs the library boto3, and {sys.executable} lacks it", libraries=["boto3"], install=install) from error
    return Library(botocore.session, botocore.config, botocore.exceptions)


def session_of(library: Library, access: Access) -> Any:
    """Return a session; raises WrongQuestion for a profile that the AWS configuration does not have."""
    session = library.session.Session(profile=access.profile or None)
    try:
        session.get_scoped_config()
    except library.exceptions.ProfileNotFound as error:
        raise WrongQuestion(
            "profile", access.profile, "is not in the AWS configuration here", "use a profile of ~/.aws, or credentials_from"
        ) from error
    return session


def resolved_key(session: Any, access: Access, exceptions: Any) -> str:
    """Return the id of the key that signs the queries; raises WrongQuestion where there is none."""
    if access.key_id:
        return access.key_id
    try:
        found = session.get_credentials()
        # Reading the attribute makes a profile of SSO or an assumed role fetch its key.
        key_id = str(found.access_key or "") if found else ""
    except (exceptions.BotoCoreError, exceptions.ClientError) as error:
        if access.profile:
            remedy = "log in again (aws sso login), or correct the role and its source in the AWS configuration"
            raise WrongQuestion("profile", access.profile, f"returns no key ({_kind_of(error)})", remedy) from error
        problem = f"is not set, nor is credentials_from, and AWS's default locations fail ({_kind_of(error)})"
        raise WrongQuestion("profile", None, problem, _REMEDY) from error
    if found is None:
        raise WrongQuestion("profile", None, "is not set, nor is credentials_from, and neither environment nor instance has a key", _REMEDY)
    return key_id


def _kind_of(error: Exception) -> str:
    """Return the name of an error and AWS's code in it; not its message, which may hold names of accounts."""
    code = getattr(error, "response", {}).get("Error", {}).get("Code")
    return f"{type(error).__name__}: {code}" if code else type(error).__name__
