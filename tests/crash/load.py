"""load - the workers of the crash suite: mixed requests until the server is gone, and the check after its next start."""
import asyncio
import json
import time
import uuid

from http1 import Connection, Lost, NotSent
from model import Deposit, Violation, Write

RESOLVE_S = 60  # within which each outcome must be decided
MOST_DEPOSIT, TOO_MUCH = 10**5, 10**9  # no account comes to have so much


class NoSpace(Exception):
    """The disk of the server is full, so nothing can be settled by asking again."""


class Load:
    """`world` has the registers and accounts; `counts` is added to. One object per life of the server."""

    def __init__(self, server, world, counts, random):
        self.server, self.world, self.counts, self.random = server, world, counts, random
        self.stopping = False

    def connect(self):
        return Connection(self.server.host, self.server.port)

    # ---- load ----

    async def run(self, workers):
        await asyncio.gather(*(self._worker(i, workers) for i in range(workers)))

    async def _worker(self, index, workers):
        connection = self.connect()
        mine = self.world.registers[index::workers]
        try:
            while not self.stopping:
                if self.random.random() < 0.3:
                    await self._account_step(connection, self.random.choice(self.world.accounts))
                else:
                    await self._register_step(connection, self.random.choice(mine))
        except (Lost, NotSent, NoSpace):
            pass  # the server is gone, or takes no more
        except Violation as violation:
            self.counts.violations.append(violation)
        finally:
            connection.close()

    # ---- registers ----

    async def _register_step(self, connection, register):
        if self.random.random() < 0.25:
            answer = await connection.request("GET", register.target)
            if answer.status != 503:
                register.seen(answer)
            else:  # the log did not confirm in time that nobody else leads
                await asyncio.sleep(0.01)
            return
        write, expected = self._some_write(register)
        register.pending = write
        await self._send_write(connection, register, write, expected)

    def _some_write(self, register):
        """A write and the statuses that are right for it now."""
        idempotent = register.target.startswith("/v1/regs/") and self.random.random() < 0.7
        headers = [("Idempotency-Key", uuid.uuid4().hex)] if idempotent else []
        state, roll = register.state, self.random.random()
        if roll < 0.15 and state.value is not None:
            return Write("DELETE", register.target, b"", tuple(headers), idempotent), (204,)
        expected = (201,) if state.value is None else (200,)
        if roll < 0.30:
            headers.append(("If-None-Match", "*"))
            expected = (201,) if state.value is None else (412,)
        elif roll < 0.45 and state.etag and state.value is not None:
            headers.append(("If-Match", state.etag))
        elif roll < 0.55:
            headers.append(("If-Match", '"00000000-0-1"'))
            expected = (412,)
        headers.append(("Content-Type", "application/json"))
        pad = "x" * self.random.choice([0, 0, 10, 100, 2000])
        body = json.dumps({"unique": uuid.uuid4().hex, "pad": pad}).encode()
        return Write("PUT", register.target, body, tuple(headers), idempotent), expected

    async def _send_write(self, connection, register, write, expected):
        try:
            answer = await connection.request(write.method, write.target, write.body, write.headers)
        except NotSent:
            register.refuse(write)
            raise
        except Lost:
            self.counts.unknown += 1
            raise
        if answer.status in (200, 201, 204):
            self._check_status(write, answer, expected)
            self.counts.acknowledged += 1
            register.committed(write, answer)
        elif answer.status == 504:
            self._check_outcome(answer, "unknown")
            self.counts.unknown += 1
            write.request_id = answer.headers["affinity-request-id"]
            await self._resolve(connection, register, write)
        else:
            if answer.status == 503:
                self._check_outcome(answer, "not-applied")
            elif answer.status != 507:
                self._check_status(write, answer, expected)
            self.counts.refused += 1
            register.refuse(write)
            await asyncio.sleep(0.01)  # it will not be another answer at once

    @staticmethod
    def _check_status(write, answer, expected):
        if answer.status not in expected:
            raise Violation("changed", f"{write.method} {write.target} {write.headers}: {answer}, expected {expected}")

    @staticmethod
    def _check_outcome(answer, expected):
        if answer.headers.get("affinity-outcome") != expected:
            raise Violation("changed", f"{answer}: Affinity-Outcome should be {expected}")

    # ---- unknown outcomes, while the server runs ----

    async def _resolve(self, connection, register, write):
        """By the same request again, or by asking for the outcome: either must tell, and agree with a read."""
        if write.idempotent and self.random.random() < 0.5:
            await self._repeat_write(connection, register, write)
        else:
            committed = await self._outcome(connection, write.request_id)
            there = register.seen(await self._read(connection, register.target))
            if there != committed:
                raise Violation("changed", f"{write.target}: outcome says committed={committed}, a read says {there}")
            register.settle(there)

    async def _repeat_write(self, connection, register, write):
        answer = await self._repeat(connection, write)
        if answer.status not in (200, 201, 204):
            raise Violation("lost", f"repeated {write.method} {write.target}: {answer}")
        register.committed(write, answer)
        register.seen(await self._read(connection, register.target))

    async def _read(self, connection, target):
        """A read that must be answered, soon."""
        until = time.monotonic() + RESOLVE_S
        while time.monotonic() < until:
            answer = await connection.request("GET", target)
            if answer.status != 503:
                return answer
            await asyncio.sleep(0.02)
        raise Violation("lost", f"GET {target} stays unanswered: {answer}")

    async def _repeat(self, connection, write):
        write.request_id = None  # what that request did tells no more what a read shows
        return await self._definite(connection, write.method, write.target, write.body, write.headers)

    async def _definite(self, connection, method, target, body, headers):
        """Repeats a request under its Idempotency-Key until its outcome is known. `.repeated`: one of these repeats may
        have done it."""
        repeated = False
        until = time.monotonic() + RESOLVE_S
        while time.monotonic() < until:
            answer = await connection.request(method, target, body, headers)
            running = answer.status == 409 and b"idempotency-running" in answer.body
            if answer.status == 507:
                raise NoSpace
            if answer.status not in (503, 504) and not running:
                answer.repeated = repeated
                return answer
            repeated |= answer.status == 504
            await asyncio.sleep(0.02)
        raise Violation("lost", f"{method} {target} stays undecided: {answer}")

    async def _outcome(self, connection, request_id):
        until = time.monotonic() + RESOLVE_S
        while time.monotonic() < until:
            answer = await connection.request("GET", f"/outcome/{request_id}")
            outcome = answer.json().get("outcome") if answer.status == 200 else None
            if outcome in ("committed", "not-applied"):
                return outcome == "committed"
            await asyncio.sleep(0.02)
        raise Violation("lost", f"/outcome/{request_id} stays undecided: {answer}")

    # ---- accounts ----

    async def _account_step(self, connection, account):
        roll = self.random.random()
        if roll < 0.1 and account.done:
            await self._repeat_deposit(connection, account, self.random.choice(account.done))
        elif roll < 0.2:
            await self._refused_withdrawal(connection, account)
        else:
            await self._deposit(connection, account)

    async def _post(self, connection, account, command, amount, key=None):
        headers = [("Content-Type", "application/json")] + ([("Idempotency-Key", key)] if key else [])
        body = json.dumps({"amount": amount}).encode()
        return await connection.request("POST", f"{account.target}/{command}", body, headers)

    async def _deposit(self, connection, account):
        deposit = Deposit(uuid.uuid4().hex, self.random.randint(1, MOST_DEPOSIT))
        account.pending.append(deposit)
        try:
            answer = await self._post(connection, account, "deposit", deposit.amount, deposit.key)
        except NotSent:
            account.pending.remove(deposit)
            raise
        except Lost:
            self.counts.unknown += 1
            raise
        if answer.status == 200:
            self.counts.acknowledged += 1
            account.committed(deposit, answer)
        elif answer.status == 504:
            self._check_outcome(answer, "unknown")
            self.counts.unknown += 1
            deposit.request_id = answer.headers["affinity-request-id"]
            await self._resolve_deposit(connection, account, deposit)
        else:
            if answer.status not in (503, 507):
                raise Violation("changed", f"deposit to {account.target}: {answer}")
            if answer.status == 503:
                self._check_outcome(answer, "not-applied")
            self.counts.refused += 1
            account.pending.remove(deposit)
            await asyncio.sleep(0.01)

    async def _resolve_deposit(self, connection, account, deposit):
        """Did an earlier request do it? None: that cannot be told."""
        headers = (("Content-Type", "application/json"), ("Idempotency-Key", deposit.key))
        body = json.dumps({"amount": deposit.amount}).encode()
        answer = await self._definite(connection, "POST", f"{account.target}/deposit", body, headers)
        if answer.status != 200:
            raise Violation("lost", f"repeated deposit to {account.target}: {answer}")
        account.committed(deposit, answer)
        return None if answer.repeated else answer.headers.get("affinity-replayed") == "true"

    async def _repeat_deposit(self, connection, account, deposit):
        answer = await self._post(connection, account, "deposit", deposit.amount, deposit.key)
        if answer.status in (503, 504, 507):
            return
        if answer.headers.get("affinity-replayed") != "true" or answer.status != 200:
            raise Violation("doubled", f"a deposit that was answered before is done again: {answer}")
        if answer.body != deposit.body or answer.etag != deposit.etag:
            raise Violation("changed", f"a repeated deposit is answered by {answer}, before by {deposit}")

    async def _refused_withdrawal(self, connection, account):
        answer = await self._post(connection, account, "withdraw", TOO_MUCH, uuid.uuid4().hex)
        if answer.status not in (404, 409, 503, 504, 507):
            raise Violation("changed", f"withdrawal from {account.target}: {answer}")
        self.counts.refused += 1

    # ---- the check after a start ----

    async def check(self, workers):
        """Reads everything; then settles what was unknown when the server ended, and reads that again."""
        jobs = [self._check_register(r) for r in self.world.registers]
        jobs += [self._check_account(a) for a in self.world.accounts]
        self.random.shuffle(jobs)
        connections = [self.connect() for _ in range(workers)]
        await asyncio.gather(*(self._checker(c, jobs) for c in connections))
        for connection in connections:
            connection.close()

    async def _checker(self, connection, jobs):
        while jobs:
            try:
                await jobs.pop()(connection)
            except NoSpace:
                pass  # stays pending
            except Violation as violation:
                self.counts.violations.append(violation)

    def _check_register(self, register):
        async def job(connection):
            write = register.pending
            there = register.seen(await self._read(connection, register.target))
            if not write:
                return
            if write.request_id and await self._outcome(connection, write.request_id) != there:
                raise Violation("changed", f"/outcome/{write.request_id} and a read ({there}) differ")
            if not write.idempotent:
                register.settle(there)
                return
            state = register.state
            answer = await self._repeat(connection, write)
            replayed = answer.headers.get("affinity-replayed") == "true"
            if answer.status == 412 and not there:
                register.settle(False)
                return
            if answer.status not in (200, 201, 204) or (replayed != there and not answer.repeated):
                raise Violation("doubled", f"{write.target}: a read says {there}, the repeat {answer}")
            register.committed(write, answer)
            if there and state.etag and answer.etag and answer.etag != state.etag:
                raise Violation("changed", f"{write.target}: the repeat has {answer.etag}, a read had {state.etag}")
            register.seen(await self._read(connection, register.target))

        return job

    def _check_account(self, account):
        async def job(connection):
            before = await self._balance(connection, account)
            least = account.total
            most = least
            for deposit in list(account.pending):
                done_before = await self._resolve_deposit(connection, account, deposit)
                least += deposit.amount if done_before else 0
                most += deposit.amount if done_before is not False else 0
            if not least <= before <= most:
                kind = "doubled" if before > most else "lost"
                raise Violation(kind, f"{account.target}: the balance was {before}, the deposits made {least} to {most}")
            account.check(await self._balance(connection, account))

        return job

    async def _balance(self, connection, account):
        answer = await self._read(connection, f"{account.target}/balance")
        if answer.status == 404:
            return 0
        if answer.status != 200:
            raise Violation("lost", f"{account.target}: {answer}")
        return int(answer.body)
