"""linear_test - the checker of histories accepts what is right and finds what is wrong; and agrees with trying every order."""
import itertools
import math
import random
import unittest

from linear import DELETE, GET, PUT, Op, check

A, B, C = b"a", b"b", b"c"


def every_order(ops):
    """The same question answered by brute force."""
    known = [op for op in ops if not op.unknown]
    unknown = [op for op in ops if op.unknown]
    for count in range(len(unknown) + 1):
        for some in itertools.combinations(unknown, count):
            if any(fits(order) for order in itertools.permutations(known + list(some))):
                return True
    return False


def fits(order):
    state = None
    for i, op in enumerate(order):
        may, state = op.step(state)
        if not may or any(later.end < op.start for later in order[i + 1 :]):
            return False
    return True


class LinearTest(unittest.TestCase):
    def assertExplained(self, *ops):
        self.assertEqual(check(list(ops)), (True, None))
        self.assertTrue(every_order(ops))

    def assertWrong(self, *ops):
        explained, stuck = check(list(ops))
        self.assertFalse(explained)
        self.assertIn(stuck, ops)
        self.assertFalse(every_order(ops))

    def test_a_read_sees_the_last_write(self):
        self.assertExplained(Op(0, 1, PUT, A), Op(2, 3, GET, A), Op(4, 5, DELETE), Op(6, 7, GET, None))

    def test_a_stale_read_is_found(self):
        self.assertWrong(Op(0, 1, PUT, A), Op(2, 3, PUT, B), Op(4, 5, GET, A))

    def test_a_lost_write_is_found(self):
        self.assertWrong(Op(0, 1, PUT, A), Op(2, 3, GET, None))

    def test_what_was_never_written_is_found(self):
        self.assertWrong(Op(0, 1, PUT, A), Op(2, 3, GET, C))

    def test_reads_during_a_write_see_either_and_never_go_back(self):
        write, early, late = Op(1, 10, PUT, B), Op(2, 3, GET, A), Op(4, 5, GET, B)
        self.assertExplained(Op(0, 0.5, PUT, A), write, early, late)
        self.assertWrong(Op(0, 0.5, PUT, A), write, Op(2, 3, GET, B), Op(4, 5, GET, A))

    def test_an_unknown_write_happened_later_or_not_at_all_but_once(self):
        unknown = Op(1, math.inf, PUT, B)
        self.assertExplained(Op(0, 0.5, PUT, A), unknown, Op(2, 3, GET, A))
        self.assertExplained(Op(0, 0.5, PUT, A), unknown, Op(2, 3, GET, A), Op(4, 5, GET, B))
        self.assertWrong(Op(0, 0.5, PUT, A), unknown, Op(2, 3, GET, B), Op(4, 5, PUT, C), Op(6, 7, GET, B))

    def test_conditions_see_what_is_there(self):
        self.assertExplained(Op(0, 1, PUT, A, expects=(None,)), Op(2, 3, PUT, B, expects=(A,)), Op(4, 5, GET, B))
        self.assertWrong(Op(0, 1, PUT, A), Op(2, 3, PUT, B, expects=(None,)))
        self.assertExplained(Op(0, 1, PUT, A), Op(2, 3, PUT, B, expects=(None,), refused=True), Op(4, 5, GET, A))
        self.assertWrong(Op(0, 1, PUT, A), Op(2, 3, PUT, B, expects=(A,), refused=True))
        self.assertWrong(Op(0, 1, PUT, A), Op(2, 3, DELETE, refused=True))
        self.assertWrong(Op(0, 1, PUT, A), Op(2, 3, PUT, B, tells=(False,)))

    def test_two_successes_on_one_version_are_found(self):
        self.assertWrong(Op(0, 1, PUT, A), Op(2, 5, PUT, B, expects=(A,)), Op(2, 5, PUT, C, expects=(A,)))

    def test_it_agrees_with_trying_every_order(self):
        source = random.Random(1)
        found = [0, 0]
        for _ in range(800):
            ops = [self.random_op(source, i) for i in range(source.randint(1, 5))]
            explained = check(ops)[0]
            self.assertEqual(explained, every_order(ops), ops)
            found[explained] += 1
        self.assertGreater(min(found), 80)

    @staticmethod
    def random_op(source, i):
        start = source.randint(0, 8)
        end = start + source.randint(0, 4)
        kind = source.choice([PUT, PUT, GET, GET, GET, DELETE])
        if kind == GET:
            return Op(start, end, GET, source.choice([None, b"0", b"1", b"2", b"3"]))
        if source.random() < 0.2:
            end = math.inf
        expects = source.choice([(), (), (), (None,), (b"0",), (b"1",)])
        refused = source.random() < 0.2 and end != math.inf
        return Op(start, end, kind, b"%d" % i if kind == PUT else None, expects, refused)

    def test_a_long_history_takes_moments(self):
        source, now, state, ops = random.Random(2), 0, None, []
        for i in range(3000):
            now += 1
            if source.random() < 0.5:
                state = b"%d" % i
                ops.append(Op(now - source.random() * 3, now + source.random() * 3, PUT, state))
            else:
                ops.append(Op(now - source.random() * 3, now + source.random() * 3, GET, state))
        self.assertEqual(check(ops), (True, None))
        ops.append(Op(now + 20, now + 21, GET, b"0"))
        self.assertFalse(check(ops)[0])


if __name__ == "__main__":
    unittest.main()
