"""Files that are packed: one member of gzip (RFC 1952), which ``zcat`` and ``zless`` read too."""

from __future__ import annotations

import zlib
from pathlib import Path

from .files import UnreadableFile, read_bytes

PACKED = ".gz"
"""How the names of packed files end."""
_LEVEL = 9
"""Of a record 8 % less than the default level leaves, for 1 ms of a controller that has just ended a session."""
_GZIP = 16 + zlib.MAX_WBITS
"""What zlib calls the format of gzip."""


def packed(content: bytes) -> bytes:
    """The content packed: no name and no time in it, so that equal contents are packed alike."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return packer.compress(content) + packer.flush()


def read_content(path: Path, most_bytes: int) -> bytes:
    """The content of a file as `read_bytes` gives it, unpacked where the file's name says that it is packed.

    It has at most ``most_bytes`` either way: a larger one is not unpacked any further than that. What is packed is exactly
    one whole member with nothing behind it. Raises FileNotFoundError where nothing is there, and UnreadableFile.
    """
    content = read_bytes(path, most_bytes)
    return _unpacked(path, content, most_bytes) if path.name.endswith(PACKED) else content


def _unpacked(path: Path, content: bytes, most_bytes: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        found = unpacker.decompress(content, most_bytes + 1)
    except zlib.error as error:  # another format, or a sum of what it held that does not fit
        raise UnreadableFile(path, f"it is not what gzip packs, or damaged ({error})") from None
    if len(found) > most_bytes:
        raise UnreadableFile(path, f"unpacked it has more than the {most_bytes} bytes that it may have")
    if not unpacker.eof:
        raise UnreadableFile(path, "it is packed, and the end is missing")
    if unpacker.unused_data:
        raise UnreadableFile(path, "it is packed, and something follows behind the end")
    return found
