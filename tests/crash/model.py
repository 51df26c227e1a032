"""model - what the crash suite knows of each key, and what it holds against the server.

A key belongs to one worker, which waits for each answer: so at any time a key has one certain state and at most one write
whose outcome is unknown. An account is shared by all; what counts is the sum.
"""
from dataclasses import dataclass, field


class Violation(Exception):
    """`kind` is lost, refused-present, doubled or changed: a column of the summary."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


@dataclass(frozen=True)
class State:
    value: bytes | None  # None: no such key
    etag: str | None = None  # None: not known


@dataclass
class Write:
    method: str
    target: str
    body: bytes
    headers: tuple
    idempotent: bool  # has an Idempotency-Key
    request_id: str | None = None  # of an answer that said "unknown"
    seen: bool = False  # a read showed it, while its outcome was still pending

    @property
    def result(self):
        return self.body if self.method == "PUT" else None


@dataclass
class Register:
    """A key that is read and written by PUT and DELETE."""

    target: str
    state: State = State(None)
    pending: Write | None = None
    refused: set = field(default_factory=set)  # values that must never be seen

    def committed(self, write, answer):
        self.state = State(write.result, answer.etag if write.method == "PUT" else None)
        self.pending = None

    def refuse(self, write):
        if write.method == "PUT":
            self.refused.add(write.body)
        self.pending = None

    def seen(self, answer):
        """Checks a read; settles the write that was pending by what it shows. True: that write is there."""
        value = answer.body if answer.status == 200 else None
        if answer.status not in (200, 404):
            raise Violation("lost", f"GET {self.target}: {answer}")
        if value == self.state.value:
            self._same_etag(answer)
            return self.pending is not None and self.pending.seen
        if self.pending and value == self.pending.result:
            self.state = State(value, answer.etag)
            self.pending.seen = True
            return True
        kind = "refused-present" if value in self.refused else "lost"
        expected = [self.state.value] + ([self.pending.result] if self.pending else [])
        raise Violation(kind, f"GET {self.target}: {answer.status} {value!r}, possible were {expected!r}")

    def _same_etag(self, answer):
        if self.state.value is not None and self.state.etag and answer.etag != self.state.etag:
            raise Violation("changed", f"GET {self.target}: ETag {answer.etag}, was {self.state.etag}")
        if self.state.value is not None and not self.state.etag:
            self.state = State(self.state.value, answer.etag)

    def settle(self, there):
        """The pending write was found, or is proven not to be there."""
        if not there:
            self.refuse(self.pending)
        self.pending = None


@dataclass
class Deposit:
    key: str  # Idempotency-Key
    amount: int
    etag: str | None = None
    body: bytes = b""
    request_id: str | None = None


@dataclass
class Account:
    target: str
    total: int = 0  # of the deposits that are certainly in
    done: list = field(default_factory=list)  # some of them, for repeats
    pending: list = field(default_factory=list)

    def committed(self, deposit, answer):
        self.total += deposit.amount
        deposit.etag, deposit.body = answer.etag, answer.body
        self.done = self.done[-19:] + [deposit]
        if deposit in self.pending:
            self.pending.remove(deposit)

    def check(self, balance):
        if balance == self.total:
            return
        kind = "doubled" if balance > self.total else "lost"
        raise Violation(kind, f"{self.target}: the balance is {balance}, the deposits make {self.total}")


class World:
    """Every key that there is, and what is known of it."""

    def __init__(self, registers, accounts):
        spaces = ["regs", "regs", "short"]
        self.registers = [Register(f"/v1/{spaces[i % 3]}/key-{i}") for i in range(registers)]
        self.accounts = [Account(f"/v1/accounts/account-{i}") for i in range(accounts)]

    def unsettled(self):
        return sum(r.pending is not None for r in self.registers) + sum(len(a.pending) for a in self.accounts)


@dataclass
class Counts:
    rounds: int = 0
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    violations: list = field(default_factory=list)

    def of(self, kind):
        return sum(v.kind == kind for v in self.violations)

    def line(self):
        return (
            f"rounds={self.rounds} acknowledged={self.acknowledged} refused={self.refused} unknown={self.unknown} "
            f"lost={self.of('lost')} refused-present={self.of('refused-present')} doubled={self.of('doubled')} "
            f"changed={self.of('changed')}"
        )
