"""A filter of system calls (seccomp): no network, no other programs, no change of what Landlock does not cover."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import NamedTuple

_SET_SECCOMP, _FILTER, _SET_MODE_FILTER, _ALL_THREADS = 22, 2, 1, 1
_GET_SECCOMP = 21
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_X32 = 0x40000000


class _Machine(NamedTuple):
    """Numbers of the kernel's interface on one processor.

    Attributes:
        architecture: as the kernel says it.
        seccomp: the call that sets a filter.
        denied: sockets, starting programs, reaching into other processes, new namespaces and mounts, keys, rings that
            make calls unseen.
        pretended: to change modes, owners, times and attributes, which Landlock leaves open: these seem to succeed, as
            libraries copy a file's mode with it and stop where they cannot.
    """

    architecture: int
    seccomp: int
    denied: tuple[int, ...]
    pretended: tuple[int, ...]


_EVERYWHERE = (425, 426, 427, 438, 442)  # io_uring_setup, _enter, _register, pidfd_getfd, mount_setattr
_MACHINES = {
    "x86_64": _Machine(
        0xC000003E, 317,
        # socket, execve, execveat, ptrace, process_vm_readv, _writev, bpf, perf_event_open, userfaultfd, add_key,
        # request_key, keyctl, mount, umount2, pivot_root, chroot, unshare, setns, mknod, mknodat, acct, kexec_load
        (41, 59, 322, 101, 310, 311, 321, 298, 323, 248, 249, 250, 165, 166, 155, 161, 272, 308, 133, 259, 163, 246),
        # chmod, fchmod, fchmodat, fchmodat2, chown, fchown, lchown, fchownat, utime, utimes, futimesat, utimensat,
        # setxattr, l-, f-, removexattr, l-, f-, setxattrat, removexattrat
        (90, 91, 268, 452, 92, 93, 94, 260, 132, 235, 261, 280, 188, 189, 190, 197, 198, 199, 463, 466),
    ),
    "aarch64": _Machine(
        0xC00000B7, 277,
        (198, 221, 281, 117, 270, 271, 280, 241, 282, 217, 218, 219, 40, 39, 41, 51, 97, 268, 33, 89, 104),
        (52, 53, 452, 54, 55, 88, 5, 6, 7, 14, 15, 16, 463, 466),
    ),
}  # fmt: skip


def available() -> bool:
    """Whether the kernel has filters, and this program knows the processor's numbers."""
    if not sys.platform.startswith("linux") or platform.machine() not in _MACHINES:
        return False
    return int(ctypes.CDLL(None).prctl(_GET_SECCOMP, 0, 0, 0, 0)) >= 0


def restrict() -> None:
    """Set the filter for all threads of this process, and what they start. Needs no_new_privs.

    Raises:
        OSError: the kernel refuses.
    """
    machine = _MACHINES[platform.machine()]
    program = _program(machine)
    text = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("@HP", len(program) // 8, ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(machine.seccomp, _SET_MODE_FILTER, _ALL_THREADS, filter_):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _program(machine: _Machine) -> bytes:
    """The filter, as instructions of the classic Berkeley packet filter."""
    code = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, machine.architecture, yes=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32, no=1),
        _step(_RETURN, _ERROR | errno.ENOSYS),
    ]
    for numbers, answer in ((machine.denied + _EVERYWHERE, errno.EACCES), (machine.pretended, 0)):
        for number in numbers:
            code += [_step(_EQUAL, number, no=1), _step(_RETURN, _ERROR | answer)]
    return b"".join([*code, _step(_RETURN, _ALLOW)])


def _step(operation: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One instruction; of a comparison, how many to leave out where it holds, and where it does not."""
    return struct.pack("=HBBI", operation, yes, no, value)
