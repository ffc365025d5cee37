"""The system calls that namespaces need and Python 3.11 does not have, through the C library.

Sources: unshare(2), mount(2), pivot_root(2), prctl(2) and the kernel's headers for the numbers.
"""

import ctypes
import os

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC, MS_PRIVATE, MS_RELATIME = 1024, 2048, 4096, 16384, 1 << 18, 1 << 21
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40

_libc = ctypes.CDLL(None, use_errno=True)


class Impossible(Exception):
    """The machine does not allow it; says nothing of the image."""


def _call(what: str, result: int) -> None:
    if result != 0:
        raise Impossible(f"{what}: {os.strerror(ctypes.get_errno())}")


def unshare(flags: int, what: str) -> None:
    _call(what, _libc.unshare(flags))


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    words = (source.encode(), target.encode(), kind.encode() if kind else None)
    _call(f"mount {target}", _libc.mount(*words, ctypes.c_ulong(flags), options.encode() or None))


def prctl(what: str, option: int, value: int) -> None:
    _call(what, _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def pivot_root_here() -> None:
    """Make the working directory, a mount, the root, and take the old root off: ``pivot_root(".", ".")`` there."""
    machine = os.uname().machine
    if machine not in SYS_PIVOT_ROOT:
        raise Impossible(f"pivot_root: number not known on {machine}")
    _call("pivot_root", _libc.syscall(SYS_PIVOT_ROOT[machine], b".", b"."))
    # The old root lies on top of the new one now.
    _call("umount old root", _libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


def drop_bounding_set() -> None:
    """No program that is started from here on can gain a capability."""
    for capability in range(64):
        if _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) != 0:
            break  # past the last one that the kernel knows
