"""One name to another, failing where the other is taken: the step that makes a file appear.

One system call does both where it can (Linux, ``renameat2``), so that no kill leaves a file with
two names. Elsewhere a hard link fails where the name is taken, and the old name goes after it.
"""

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable
from functools import cache

#: What a file system says that has no hard links, or no more of them.
NO_HARD_LINKS = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
)
#: Open directory and name in it.
Address = tuple[int, str]

_NOREPLACE = 1
# EPERM may be a container's filter of system calls; if it is more, the next way says so too.
_NOT_KNOWN = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM})


def rename_without_clobber(old: Address, new: Address) -> None:
    """Rename a file on one file system.

    Raises:
        FileExistsError: the new name is taken, if only by a link that leads nowhere.
        OSError: as the system says; ``EXDEV`` also between two mounts of one file system.
    """
    if _renamed(old, new):
        return
    (old_directory, old_name), (new_directory, new_name) = old, new
    try:
        os.link(
            old_name,
            new_name,
            src_dir_fd=old_directory,
            dst_dir_fd=new_directory,
            follow_symlinks=False,
        )
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        _look_then_rename(old, new)
    else:
        os.unlink(old_name, dir_fd=old_directory)


def _renamed(old: Address, new: Address) -> bool:
    """Rename in one step, or say that this system or file system does not know how."""
    rename = _renameat2()
    if rename is None:
        return False
    if rename(old[0], os.fsencode(old[1]), new[0], os.fsencode(new[1]), _NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_KNOWN:
        return False
    raise OSError(number, os.strerror(number), new[1])


@cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        function.argtypes = (
            ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint,
        )  # fmt: skip
        function.restype = ctypes.c_int
    return function


def _look_then_rename(old: Address, new: Address) -> None:
    """Only here a file that appears in between would be lost, and no system call can help it."""
    with contextlib.suppress(FileNotFoundError):
        os.stat(new[1], dir_fd=new[0], follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new[1])
    os.rename(old[1], new[1], src_dir_fd=old[0], dst_dir_fd=new[0])
