"""Starting programs that end with us, even if we are killed."""

import os
import sys
from collections.abc import Sequence

# Runs in the child, then becomes the program under the same pid. Not a `preexec_fn`: that may deadlock where the
# parent has threads. 1 is PR_SET_PDEATHSIG; a parent that died before the call would never be noticed, hence the
# comparison.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def dying_with_parent(command: Sequence[str]) -> list[str]:
    """`command`, whose program is an absolute path, so wrapped that it gets SIGTERM when its starter dies.

    Linux only; elsewhere the command as it is. Start it from the main thread: Linux ties the signal to the thread.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]
