"""The world that the replica's Tank serves: departments, automations and their customers. The same on every machine."""

from __future__ import annotations

from dataclasses import dataclass

DEPARTMENTS = {10: "Card Settlement", 20: "Corporate Banking", 30: "Retail Banking", 40: "Insurance", 50: "Securities"}
EXTENSIONS = ("pdf", "xls", "xlsx", "csv")
_FAMILY = ("kim", "lee", "park", "choi", "jung", "kang", "cho", "yoon", "jang", "lim")
_GIVEN = ("minjun", "seoyeon", "jihoon", "hana", "dohyun", "yuna", "taeho", "sora", "jisoo", "woojin", "eunji")


@dataclass(frozen=True)
class Automation:
    """One kind of mail of a department. REALTIME looks for customers all the time, the others at `day`, `hour`, `minute`."""

    auto_id: int
    org_id: int
    name: str
    type: str
    customers: int
    hour: int = 0
    minute: int = 0
    day: int | None = None


AUTOMATIONS = (
    Automation(1, 10, "Card approval notice", "REALTIME", 18),
    Automation(2, 30, "Account alert", "REALTIME", 12),
    Automation(3, 10, "Merchant statement", "DAILY", 120, 8, 30),
    Automation(4, 20, "Corporate daily balance", "DAILY", 60, 9, 0),
    Automation(5, 30, "Loan interest notice", "DAILY", 90, 10, 30),
    Automation(6, 40, "Premium receipt", "DAILY", 70, 13, 30),
    Automation(7, 50, "Trade confirmation", "DAILY", 80, 16, 30),
    Automation(8, 20, "Foreign exchange report", "DAILY", 30, 17, 45),
    Automation(9, 40, "Weekly claims report", "WEEKLY", 40, 7, 30, day=1),
    Automation(10, 50, "Monthly portfolio", "MONTHLY", 60, 7, 0, day=1),
)


@dataclass(frozen=True)
class Customer:
    """Receives the mails of one automation; `cycle_minutes` apart when it is REALTIME."""

    automation: Automation
    number: int

    @property
    def cust_id(self) -> str:
        return f"GID_{20000000 + self.automation.auto_id * 1000 + self.number}"

    @property
    def name(self) -> str:
        return f"{_GIVEN[self.number % len(_GIVEN)]} {_FAMILY[(self.number // 3) % len(_FAMILY)]}"

    @property
    def email(self) -> str:
        return f"{self.name.replace(' ', '.')}{self.number}@example.com"

    @property
    def masked_email(self) -> str:
        return f"{self.email[0]}***@example.com"

    @property
    def cycle_minutes(self) -> int:
        return 90 + self.number % 7 * 10

    def attachment(self, date: str) -> str:
        """File name for a day, `date` as YYYYMMDD (or a placeholder for it)."""
        extension = EXTENSIONS[self.number % len(EXTENSIONS)]
        return f"BAC{self.automation.auto_id:02d}V{self.number:03d}R_MERSTAT_{self.cust_id}_{date}_1.{extension}"


CUSTOMERS = tuple(Customer(automation, number) for automation in AUTOMATIONS for number in range(automation.customers))
BY_AUTOMATION = {
    automation.auto_id: tuple(customer for customer in CUSTOMERS if customer.automation is automation) for automation in AUTOMATIONS
}
