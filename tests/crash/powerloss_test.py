"""powerloss_test - the power loss of the crash suite loses what it may, and nothing else.

A child writes under the preloaded library and is killed; its folder is then struck with many seeds. What was synced is there
every time; each thing that was not is lost with some seed and there with another.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

from powerloss import Loss

SEEDS = 40

PRELUDE = """
import mmap, os, signal
def put(path, data, at=0, sync=False):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(fd, data, at)
    if sync:
        os.fsync(fd)
    return fd
def sync_folder(path):
    os.fsync(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
"""


class PowerLossTest(unittest.TestCase):
    def after_loss(self, program, look):
        """The set of what `look(folder)` says over all seeds."""
        seen = set()
        for seed in range(SEEDS):
            with tempfile.TemporaryDirectory(prefix="affinity-powerloss.") as work:
                root, journal = os.path.join(work, "root"), os.path.join(work, "journal")
                os.mkdir(root)
                self.run_child(root, journal, program)
                Loss(root, journal, seed).strike()
                self.assertFalse(os.path.exists(journal))
                seen.add(look(root))
        return seen

    def run_child(self, root, journal, program):
        env = {**os.environ, "LD_PRELOAD": LIBRARY, "POWERLOSS_ROOT": root, "POWERLOSS_JOURNAL": journal}
        code = PRELUDE + textwrap.dedent(program) + "\nos.kill(os.getpid(), signal.SIGKILL)\n"
        done = subprocess.run([sys.executable, "-ISc", code], cwd=root, env=env, capture_output=True, text=True)
        self.assertEqual(done.returncode, -9, done.stderr)

    @staticmethod
    def content(name):
        def look(root):
            path = os.path.join(root, name)
            if not os.path.exists(path):
                return None
            with open(path, "rb") as f:
                return f.read()
        return look

    def test_what_was_synced_with_its_name_stays(self):
        program = "put('a', b'x' * 5000, sync=True); sync_folder('.')"
        self.assertEqual(self.after_loss(program, self.content("a")), {b"x" * 5000})

    def test_a_name_that_was_not_synced_can_be_lost(self):
        program = "put('a', b'x', sync=True)"
        self.assertEqual(self.after_loss(program, self.content("a")), {None, b"x"})

    def test_a_folder_that_was_not_synced_can_be_lost_with_all_in_it(self):
        program = "os.mkdir('d'); put('d/a', b'x', sync=True); sync_folder('d')"
        self.assertEqual(self.after_loss(program, self.content("d/a")), {None, b"x"})

    def test_writes_that_were_not_synced_are_lost_kept_or_torn(self):
        program = "fd = put('a', b'o' * 2048, sync=True); sync_folder('.'); os.pwrite(fd, b'n' * 1024, 1024)"
        seen = self.after_loss(program, self.content("a"))
        self.assertTrue(all(one[:1024] == b"o" * 1024 for one in seen), "bytes that were not written again changed")
        self.assertIn(b"o" * 2048, seen)
        self.assertIn(b"o" * 1024 + b"n" * 1024, seen)
        self.assertIn(b"o" * 1024 + b"n" * 512 + b"o" * 512, seen)
        self.assertTrue(any(len(set(one[1024:1536])) > 1 for one in seen), "no sector was torn")

    def test_a_sync_covers_what_was_written_before_it(self):
        program = """
            fd = put('a', b'1' * 512); sync_folder('.')
            os.pwrite(fd, b'2' * 512, 512); os.fdatasync(fd)
            os.pwrite(fd, b'3' * 512, 1024)
        """
        seen = self.after_loss(program, self.content("a"))
        self.assertTrue(all(one[:1024] == b"1" * 512 + b"2" * 512 for one in seen), seen)
        self.assertGreater(len(seen), 1)

    def test_a_rename_that_was_not_synced_may_not_have_happened(self):
        program = """
            put('a', b'old', sync=True); sync_folder('.')
            put('a.tmp', b'new', sync=True); os.rename('a.tmp', 'a')
        """
        self.assertEqual(self.after_loss(program, self.content("a")), {b"old", b"new"})

    def test_a_removal_that_was_not_synced_may_not_have_happened(self):
        program = "put('a', b'x', sync=True); sync_folder('.'); os.unlink('a')"
        self.assertEqual(self.after_loss(program, self.content("a")), {None, b"x"})

    def test_a_truncation_that_was_not_synced_may_not_have_happened(self):
        program = "fd = put('a', b'x' * 600, sync=True); sync_folder('.'); os.ftruncate(fd, 100)"
        self.assertEqual(self.after_loss(program, self.content("a")), {b"x" * 100, b"x" * 600})

    def test_pages_of_a_mapping_reach_the_disk_or_not(self):
        program = """
            fd = put('a', b'o' * 8192, sync=True); sync_folder('.')
            m = mmap.mmap(fd, 8192); m.flush()
            m[:] = b'n' * 8192
        """
        seen = {bytes([one[0], one[4096]]) for one in self.after_loss(program, self.content("a"))}
        self.assertEqual(seen, {b"oo", b"on", b"no", b"nn"})

    def test_the_journal_goes_on_in_the_next_process(self):
        with tempfile.TemporaryDirectory(prefix="affinity-powerloss.") as work:
            seen = set()
            for seed in range(SEEDS):
                root, journal = os.path.join(work, f"root{seed}"), os.path.join(work, f"journal{seed}")
                os.mkdir(root)
                self.run_child(root, journal, "put('a', b'1' * 512)")
                self.run_child(root, journal, "put('a', b'2' * 512, 512)")
                self.run_child(root, journal, "sync_folder('.')")
                Loss(root, journal, seed).strike()
                seen.add(self.content("a")(root))
                shutil.rmtree(root)
        self.assertIn(b"", seen)
        self.assertIn(b"1" * 512 + b"2" * 512, seen)
        self.assertNotIn(None, seen)

    def test_the_boot_id_is_another(self):
        with tempfile.TemporaryDirectory(prefix="affinity-powerloss.") as work:
            path = os.path.join(work, "boot_id")
            with open(path, "w", encoding="utf-8") as f:
                f.write("another-boot\n")
            env = {**os.environ, "LD_PRELOAD": LIBRARY, "POWERLOSS_BOOT_ID": path}
            code = "import os; print(os.read(os.open('/proc/sys/kernel/random/boot_id', os.O_RDONLY), 99).decode(), end='')"
            done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout, "another-boot\n")


if __name__ == "__main__":
    LIBRARY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
