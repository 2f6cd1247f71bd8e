"""Whether a client may log in: the instance's state, the account, the password, the limits."""

from __future__ import annotations

from .calls import Call
from .catalog import EXPIRED, GRACE, LOCKED, LOCKED_TIMED, OPEN, Account
from .database import Attempt, Database
from .dictionary import VERSION, SessionInfo
from .errors import OraError
from .login import Challenge, is_right, make_verifier, unknown_user_verifier

_SYSDBA_MODES = 0x20 | 0x40 | 0x00400000 | 0x0F000000
_DOWN = (
    "ORA-01034: ORACLE not available\nORA-27101: shared memory realm does not exist\n"
    "Linux-x86_64 Error: 2: No such file or directory\nAdditional information: 4376\nProcess ID: 0\nSession ID: 0 Serial number: 0"
)


class Logon:
    """The two calls of one login."""

    def __init__(self, database: Database, attempt: Attempt):
        self._database = database
        self._attempt = attempt
        self._challenge: Challenge | None = None
        self.account: Account | None = None
        self.client: dict[str, str] = {}

    def challenge(self, call: Call) -> list[tuple[str, str, int]]:
        """What the client needs to prove its password. Raises OraError when the instance is not open."""
        as_sysdba = bool(call.mode & _SYSDBA_MODES)
        state = (self._database.faults.take("instance") or {}).get("state")
        if state == "down":
            raise OraError(1034, text=_DOWN)
        if state == "starting" and not as_sysdba:
            raise OraError(1033)
        self.client = call.pairs
        self._attempt.program = call.pairs.get("AUTH_PROGRAM_NM", self._attempt.program)
        self.account = self._database.store.accounts.get(_account_name(call.user))
        self._challenge = Challenge(self.account.verifier if self.account else unknown_user_verifier())
        return self._challenge.answers()

    def check(self, call: Call) -> OraError | None:
        """Raises OraError when the login is refused; gives the warning of one that is not."""
        failing = self._database.faults.look("login_error")
        if failing and failing["user"].upper() in ("", _account_name(call.user)):
            self._database.faults.take("login_error")
            raise OraError(failing["code"], _account_name(call.user))
        account, challenge = self.account, self._challenge
        if account and account.status in (LOCKED, LOCKED_TIMED):
            raise OraError(28000)
        password = self._password(call, "AUTH_PASSWORD") if challenge and self._session_key(call) else None
        right = bool(account and is_right(account.verifier, password))
        if account:
            self._database.store.count_login(account, right, self._failed_login_limit())
        if account is None or not right:
            raise OraError(1017)
        as_sysdba = bool(call.mode & _SYSDBA_MODES)
        if as_sysdba and not account.sysdba:
            raise OraError(1017)
        if account.name == "SYS" and not as_sysdba:
            raise OraError(28009)
        return self._admit(call, account, as_sysdba)

    def _admit(self, call: Call, account: Account, as_sysdba: bool) -> OraError | None:
        """The password is right: what else may be in the way."""
        now = self._database.store.now()
        state = account.status_at(now)
        if call.pairs.get("AUTH_NEWPASSWORD"):
            self._set_password(call)
            state = OPEN
        if state == EXPIRED and not as_sysdba:
            raise OraError(28001)
        if not as_sysdba and not (account.has("CREATE SESSION") or "CONNECT" in account.rights):
            raise OraError(1045, account.name)
        limit, code = self._database.session_limit()
        if len(self._database.live) >= limit and code < 12000:
            self._database.faults.take("max_sessions")
            raise OraError(code)
        return OraError(28002, account.days_left(now)) if state == GRACE else None

    def change_password(self, call: Call) -> None:
        """In a session: the old password must be right."""
        if self.account is None or not is_right(self.account.verifier, self._password(call, "AUTH_PASSWORD")):
            raise OraError(1017)
        self._set_password(call)

    def _set_password(self, call: Call) -> None:
        made = self._password(call, "AUTH_NEWPASSWORD")
        if not made or self.account is None:
            raise OraError(988, text="ORA-00988: missing or invalid password(s)")
        self.account.verifier = make_verifier(self.account.verifier.kind, made)
        self.account.status, self.account.expires_at = OPEN, ""
        self._database.store.save_account(self.account)

    def _session_key(self, call: Call) -> bool:
        return bool(self._challenge and self._challenge.accept_session_key(call.pairs.get("AUTH_SESSKEY", "")))

    def _password(self, call: Call, key: str) -> str | None:
        return self._challenge.password(call.pairs.get(key, "")) if self._challenge else None

    def _failed_login_limit(self) -> int:
        fault = self._database.faults.look("failed_logins")
        return fault["limit"] if fault else self._database.settings.failed_logins

    def session_values(self, info: SessionInfo) -> list[tuple[str, str, int]]:
        """What the client learns about its session."""
        assert self._challenge is not None
        instance = self._database.instance
        number = VERSION[0] << 24 | VERSION[1] << 16 | VERSION[2] << 12 | VERSION[3] << 4 | VERSION[4]
        made = {
            "AUTH_VERSION_STRING": "- 64bit Production", "AUTH_VERSION_NO": str(number), "AUTH_VERSION_SQL": "26", "AUTH_VERSION_STATUS": "0",
            "AUTH_XACTION_TRAITS": "3", "AUTH_DBNAME": instance.name, "AUTH_SESSION_ID": str(info.number),
            "AUTH_SERIAL_NUM": str(info.serial), "AUTH_USER_ID": "101", "AUTH_INSTANCE_NO": "1", "AUTH_FAILOVER_ID": "",
            "AUTH_SERVER_PID": str(4000 + info.number), "AUTH_SC_SERVER_HOST": instance.host, "AUTH_SC_DBUNIQUE_NAME": instance.name,
            "AUTH_SC_REAL_DBUNIQUE_NAME": instance.name, "AUTH_SC_INSTANCE_NAME": instance.name, "AUTH_INSTANCENAME": instance.name,
            "AUTH_SC_SERVICE_NAME": info.service, "AUTH_SC_DB_DOMAIN": "", "AUTH_SC_SVC_FLAGS": "0", "AUTH_MAX_OPEN_CURSORS": "300",
            "AUTH_MAX_IDEN_LENGTH": "128", "AUTH_NLS_LXLAN": "AMERICAN", "AUTH_NLS_LXCTERRITORY": "AMERICA",
            "AUTH_NLS_LXCDATEFM": "DD-MON-RR", "AUTH_SVR_RESPONSE": self._challenge.server_proof(),
        }  # fmt: skip
        return [(key, value, 0) for key, value in made.items()]


def _account_name(user: str) -> str:
    """Names are upper case unless they are quoted."""
    return user.strip('"') if user.startswith('"') else user.upper()
