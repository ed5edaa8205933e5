"""An SMB client that caches what it writes, as that of Windows does, which smbclient never does.

For as much of SMB 2.1 as that needs: [MS-SMB2] has the structures, [MS-NLMP] those of the anonymous logon.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from types import TracebackType
from typing import NamedTuple

_HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
_NEGOTIATE, _SESSION_SETUP, _TREE_CONNECT, _CREATE, _CLOSE, _WRITE, _SET_INFO, _BREAK = 0, 1, 3, 5, 6, 9, 17, 18
_PENDING, _MORE_PROCESSING = 0x103, 0xC0000016  # statuses
_UNASKED = 0xFFFFFFFFFFFFFFFF  # the message ID of what the server sends on its own
_NTLM_FLAGS = 0x80000 | 0x8000 | 0x200 | 0x4 | 0x1
_ANONYMOUS = 0x800
_BASIC_INFO, _RENAME_INFO, _END_OF_FILE_INFO = 4, 10, 20

NO_OPLOCK, BATCH_OPLOCK, LEASE = 0x00, 0x09, 0xFF
OPEN, CREATE, OVERWRITE = 1, 2, 5  # dispositions: it exists, it does not, either
_READ_ACCESS, _WRITE_ACCESS, _DELETE_ACCESS = 0x120089, 0x120116, 0x10000
_SHARE_ALL = 7
_TIMEOUT_S = 60.0


class SmbError(Exception):
    """The server refused a request; the text has the status."""


class Handle(NamedTuple):
    """An open file of the share."""

    number: bytes
    oplock: int  # that was granted
    lease_key: bytes  # of the lease that was asked for, if one was


class SmbClient:
    """Responsible for one connection to a share, whose oplock breaks are answered when the caller says so."""

    def __init__(self, host: str, port: int, share: str) -> None:
        self._socket = socket.create_connection((host, port), _TIMEOUT_S)
        self._message, self._tree, self._session = 0, 0, 0
        self._open: set[bytes] = set()  # numbers of the handles
        self.breaks: list[bytes] = []  # bodies of the notifications that are not answered yet
        self.waits: list[float] = []  # s for which requests were delayed
        self._request(_NEGOTIATE, struct.pack("<HHHHI16sQH", 36, 1, 1, 0, 0, bytes(range(16)), 0, 0x0210))
        challenge = struct.pack("<8sII16x", b"NTLMSSP\0", 1, _NTLM_FLAGS)
        self._log_on(challenge)
        # The responses to the challenge are empty, but for one byte.
        fields = [struct.pack("<HHI", length, length, 64) for length in (1, 0, 0, 0, 0, 0)]
        flags = struct.pack("<I", _NTLM_FLAGS | _ANONYMOUS)
        self._log_on(struct.pack("<8sI", b"NTLMSSP\0", 3) + b"".join(fields) + flags + b"\0")
        path = f"\\\\{host}\\{share}".encode("utf-16-le")
        self._request(_TREE_CONNECT, struct.pack("<HHHH", 9, 0, 72, len(path)) + path)

    def __enter__(self) -> SmbClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def _log_on(self, token: bytes) -> None:
        self._request(_SESSION_SETUP, struct.pack("<HBBIIHHQ", 25, 0, 1, 0, 0, 88, len(token), 0) + token)

    # -- files

    def open(self, name: str, disposition: int = OPEN, oplock: int = NO_OPLOCK) -> Handle:
        """Open a file for reading, writing and renaming. Others may do the same meanwhile."""
        path = name.encode("utf-16-le")
        access = _READ_ACCESS | _WRITE_ACCESS | _DELETE_ACCESS
        context, at, key = b"", 0, path[:16].ljust(16, b"\0")
        if oplock == LEASE:
            at = 120 + len(path) + -len(path) % 8
            context = struct.pack("<IHHHHI4s4x16sIIQ", 0, 16, 4, 0, 24, 32, b"RqLs", key, 7, 0, 0)
        body = struct.pack(
            "<HBBIQQIIIIIHHII", 57, 0, oplock, 2, 0, 0, access, 0x80, _SHARE_ALL, disposition, 0x40,
            120, len(path), at, len(context),
        )  # fmt: skip
        answer = self._request(_CREATE, body + path + bytes(-len(path) % 8) + context)
        handle = Handle(answer[64:80], answer[2], key)
        self._open.add(handle.number)
        return handle

    def write(self, file: Handle, data: bytes, offset: int) -> None:
        """Write at most 64 kB."""
        body = struct.pack("<HHIQ16sIIHHI", 49, 112, len(data), offset, file.number, 0, 0, 0, 0, 0)
        self._request(_WRITE, body + data)

    def set_size(self, file: Handle, size: int) -> None:
        """Set the size before writing, as Explorer does."""
        self._set(file, _END_OF_FILE_INFO, struct.pack("<Q", size))

    def set_times(self, file: Handle, seconds: int) -> None:
        """Set the times of creation, access and writing (s since 1970), and the attribute of an archive."""
        time = (seconds + 11_644_473_600) * 10_000_000
        self._set(file, _BASIC_INFO, struct.pack("<QQQQII", time, time, time, 0, 0x20, 0))

    def rename(self, file: Handle, name: str) -> None:
        """Rename an open file, replacing what has the name."""
        path = name.encode("utf-16-le")
        self._set(file, _RENAME_INFO, struct.pack("<B7xQI", 1, 0, len(path)) + path)

    def close(self, file: Handle) -> None:
        """Close a file."""
        self._open.remove(file.number)
        self._request(_CLOSE, struct.pack("<HHI16s", 24, 0, 0, file.number))

    def _set(self, file: Handle, kind: int, data: bytes) -> None:
        body = struct.pack("<HBBIHHI16s", 33, 1, kind, len(data), 96, 0, 0, file.number)
        self._request(_SET_INFO, body + data)

    # -- oplocks

    def wait_for_break(self, file: Handle, seconds: float) -> bool:
        """Return whether the oplock of an open file is to be given up, waiting for it so long.

        The breaks of others do not count: that of a file that was just closed may arrive late.
        """
        deadline = time.monotonic() + seconds
        while not (is_broken := any(body[8:24] in (file.number, file.lease_key) for body in self.breaks)):
            if not select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
                break
            self._receive()
        return is_broken

    def give_up_oplocks(self) -> None:
        """Answer the breaks, once what was cached is written."""
        while self.breaks:
            body = self.breaks.pop(0)
            if len(body) >= 44:  # of a lease
                key, state = body[8:24], struct.unpack_from("<I", body, 28)[0]
                self._request(_BREAK, struct.pack("<HHI16sIQ", 36, 0, 0, key, state, 0))
            elif body[8:24] in self._open:
                self._request(_BREAK, struct.pack("<HBBI16s", 24, body[2], 0, 0, body[8:24]))

    # -- packets

    def _request(self, command: int, body: bytes) -> bytes:
        """Send a request; return the body of its answer. Raises SmbError."""
        header = _HEADER.pack(
            b"\xfeSMB", 64, 1, 0, command, 64, 0, 0, self._message, 0xFEFF, self._tree, self._session, bytes(16)
        )  # fmt: skip
        packet = header + body
        self._socket.sendall(struct.pack(">I", len(packet)) + packet)
        number, self._message = self._message, self._message + 1
        began, is_delayed = time.monotonic(), False
        while (answer := self._receive()) is None or answer[0][8] != number or answer[0][3] == _PENDING:
            is_delayed |= answer is not None
        if is_delayed:
            self.waits.append(time.monotonic() - began)
        fields, body = answer
        if fields[3] not in (0, _MORE_PROCESSING):
            raise SmbError(f"request {command} failed with the status {fields[3]:#x}")
        if command == _SESSION_SETUP:
            self._session = fields[11]
        elif command == _TREE_CONNECT:
            self._tree = fields[10]
        return body

    def _receive(self) -> tuple[tuple[int, ...], bytes] | None:
        """Return the header and the body of an answer; None for a break, which is noted."""
        (length,) = struct.unpack(">I", self._read(4))
        packet = self._read(length)
        fields = _HEADER.unpack_from(packet)
        body = packet[_HEADER.size :]
        if fields[8] == _UNASKED:
            self.breaks.append(body)
            return None
        return fields, body

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise SmbError("the server closed the connection")
            data += part
        return data
