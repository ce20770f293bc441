"""Mounts a directory with FUSE, without support for shared memory and, on request, without locks.

sshfs, 9p, and some kinds of NFS are like that: every file is opened with direct_io, so that mmap(MAP_SHARED)
fails with ENODEV. It implements the kernel's protocol (linux/fuse.h 7.31), because few machines have libfuse.
Needs root.
"""

import contextlib
import ctypes
import errno
import os
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_DETACH = 2
_NOSUID_NODEV = 2 | 4
_DIRECT_IO = 1
_POSIX_LOCKS, _FLOCK_LOCKS = 1 << 1, 1 << 10
_MAX_WRITE = 128 * 1024


def missing() -> str:
    """Why FUSE cannot be mounted here; empty if it can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    return "" if Path("/dev/fuse").exists() else "no /dev/fuse on this machine"


@contextlib.contextmanager
def mounted(backing: Path, target: Path, *, locks: bool = True) -> Iterator[None]:
    """`backing`, seen through FUSE at `target`."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    if _LIBC.mount(b"nexo-test", os.fsencode(target), b"fuse", _NOSUID_NODEV, options.encode()) != 0:
        problem = os.strerror(ctypes.get_errno())
        os.close(device)
        raise OSError(f"FUSE cannot be mounted: {problem}")
    thread = threading.Thread(target=_Server(device, backing, locks).serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        _LIBC.umount2(os.fsencode(target), _DETACH)
        thread.join(10)
        os.close(device)


class _Server:
    def __init__(self, device: int, backing: Path, locks: bool) -> None:
        self._device = device
        self._locks = locks
        self._paths = {1: backing}
        self._ids = {backing: 1}
        self._answers: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._look_up,
            3: lambda node, _: self._attributes(node),
            4: self._set_attributes,
            9: self._make_directory,
            10: lambda node, body: self._gone(self._child(node, body), os.unlink),
            11: lambda node, body: self._gone(self._child(node, body), os.rmdir),
            12: lambda node, body: self._rename(node, body, 8),
            13: self._link,
            14: lambda node, body: self._open(self._paths[node], struct.unpack_from("<I", body)[0]),
            15: self._read,
            16: self._write,
            17: lambda node, _: self._space(node),
            18: self._close,
            20: self._sync,
            25: lambda _node, _body: b"",
            26: self._greet,
            27: lambda _node, _body: struct.pack("<QII", 0, 0, 0),
            28: self._list,
            29: lambda _node, _body: b"",
            30: lambda _node, _body: b"",
            31: self._lock,
            32: self._lock,
            33: self._lock,
            34: lambda _node, _body: b"",
            35: self._create,
            45: lambda node, body: self._rename(node, body, 16),
        }

    def serve(self) -> None:
        while True:
            try:
                request = os.read(self._device, _MAX_WRITE + 4096)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue
                return
            _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
            if opcode in (2, 36, 42):  # FORGET, INTERRUPT, BATCH_FORGET: nobody waits for an answer
                continue
            try:
                answer = self._answers[opcode](node, request[40:])
                code = 0
            except KeyError:
                answer, code = b"", -errno.ENOSYS
            except OSError as error:
                answer, code = b"", -(error.errno or errno.EIO)
            with contextlib.suppress(OSError):
                os.write(self._device, struct.pack("<IiQ", 16 + len(answer), code, unique) + answer)

    def _greet(self, _node: int, body: bytes) -> bytes:
        _, minor, ahead, _ = struct.unpack_from("<IIII", body)
        flags = 0 if self._locks else _POSIX_LOCKS | _FLOCK_LOCKS
        return struct.pack(
            "<IIIIHHIIHHI7I", 7, min(minor, 31), ahead, flags, 12, 9, _MAX_WRITE, 1, 0, 0, 0, *[0] * 7
        )

    def _lock(self, _node: int, _body: bytes) -> bytes:
        raise OSError(errno.ENOLCK, "")

    def _child(self, node: int, body: bytes) -> Path:
        return self._paths[node] / os.fsdecode(body.split(b"\0")[0])

    def _entry(self, path: Path) -> bytes:
        attributes = _attributes_of(path)
        node = self._ids.setdefault(path, len(self._paths) + 1)
        self._paths[node] = path
        return struct.pack("<QQQQII", node, 0, 0, 0, 0, 0) + attributes

    def _look_up(self, node: int, body: bytes) -> bytes:
        return self._entry(self._child(node, body))

    def _attributes(self, node: int) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + _attributes_of(self._paths[node])

    def _set_attributes(self, node: int, body: bytes) -> bytes:
        valid, _, _, size = struct.unpack_from("<IIQQ", body)
        path = self._paths[node]
        if valid & 1:
            path.chmod(struct.unpack_from("<I", body, 68)[0] & 0o7777)
        if valid & 8:
            os.truncate(path, size)
        return self._attributes(node)

    def _make_directory(self, node: int, body: bytes) -> bytes:
        mode, umask = struct.unpack_from("<II", body)
        path = self._child(node, body[8:])
        path.mkdir()
        path.chmod(mode & 0o7777 & ~umask)
        return self._entry(path)

    def _gone(self, path: Path, remove: Callable[[Path], None]) -> bytes:
        remove(path)
        self._ids.pop(path, None)
        return b""

    def _rename(self, node: int, body: bytes, names_at: int) -> bytes:
        directory = struct.unpack_from("<Q", body)[0]
        old, new = body[names_at:].split(b"\0")[:2]
        source, target = self._paths[node] / os.fsdecode(old), self._paths[directory] / os.fsdecode(new)
        source.rename(target)
        moved = self._ids.pop(source, None)
        if moved is not None:
            self._ids[target] = moved
            self._paths[moved] = target
        return b""

    def _link(self, _node: int, _body: bytes) -> bytes:
        raise OSError(errno.EPERM, "")

    def _open(self, path: Path, flags: int) -> bytes:
        return struct.pack("<QII", os.open(path, flags & ~os.O_CREAT & ~os.O_NOFOLLOW), _DIRECT_IO, 0)

    def _create(self, node: int, body: bytes) -> bytes:
        flags, mode, umask = struct.unpack_from("<III", body)
        path = self._child(node, body[16:])
        opened = os.open(path, flags | os.O_CREAT, 0o600)
        path.chmod(mode & 0o7777 & ~umask)
        return self._entry(path) + struct.pack("<QII", opened, _DIRECT_IO, 0)

    def _read(self, _node: int, body: bytes) -> bytes:
        opened, offset, size = struct.unpack_from("<QQI", body)
        return os.pread(opened, size, offset)

    def _write(self, _node: int, body: bytes) -> bytes:
        opened, offset, size = struct.unpack_from("<QQI", body)
        return struct.pack("<II", os.pwrite(opened, body[40 : 40 + size], offset), 0)

    def _sync(self, _node: int, body: bytes) -> bytes:
        os.fsync(struct.unpack_from("<Q", body)[0])
        return b""

    def _close(self, _node: int, body: bytes) -> bytes:
        os.close(struct.unpack_from("<Q", body)[0])
        return b""

    def _space(self, node: int) -> bytes:
        space = os.statvfs(self._paths[node])
        sizes = (space.f_blocks, space.f_bfree, space.f_bavail, space.f_files, space.f_ffree)
        return struct.pack("<5Q4I6I", *sizes, space.f_bsize, 255, space.f_frsize, 0, *[0] * 6)

    def _list(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        out = b""
        names = sorted(path.name for path in self._paths[node].iterdir())
        for number, name in enumerate(names[offset:], offset + 1):
            encoded = os.fsencode(name)
            entry = struct.pack("<QQII", 1, number, len(encoded), 0) + encoded
            entry += b"\0" * (-len(entry) % 8)
            if len(out) + len(entry) > size:
                break
            out += entry
        return out


def _attributes_of(path: Path) -> bytes:
    info = path.lstat()
    times = (int(info.st_atime), int(info.st_mtime), int(info.st_ctime))
    nanoseconds = tuple(
        moment % 1_000_000_000 for moment in (info.st_atime_ns, info.st_mtime_ns, info.st_ctime_ns)
    )
    owner = (info.st_mode, info.st_nlink, info.st_uid, info.st_gid, 0, 4096, 0)
    return struct.pack("<6Q10I", info.st_ino, info.st_size, info.st_blocks, *times, *nanoseconds, *owner)
