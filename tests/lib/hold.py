"""hold - the disk of a server, held by the test: what is written meanwhile waits, and everything else goes on.

    hold = Hold(library)
    with Server(command, env=hold.env) as server:
        with hold:
            ...                 # a PUT that is sent now is in the log's hands and not answered
        ...                     # now it is
"""
import fcntl
import tempfile


class Hold:
    """`library` is the built tests/lib/hold.c."""

    def __init__(self, library):
        self.file = tempfile.NamedTemporaryFile(prefix="affinity-hold.")
        self.env = {
            "LD_PRELOAD": library,
            "HOLD_FILE": self.file.name,
            "ASAN_OPTIONS": "verify_asan_link_order=0",
        }

    def __enter__(self):
        fcntl.flock(self.file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *exception):
        fcntl.flock(self.file, fcntl.LOCK_UN)

    def close(self):
        self.file.close()
