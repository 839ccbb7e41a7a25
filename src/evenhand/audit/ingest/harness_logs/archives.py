"""Reads single files of a ZIP archive into memory, Zstandard included; their sizes are bounded."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

from evenhand.errors import InputError, first_line

UNPACKED = 512 << 20
"""The most bytes of one file of an archive, so that a small archive cannot fill the memory."""

_ZSTANDARD = 93
"""The number of the compression method in the ZIP format (APPNOTE 4.4.5)."""

_LOCAL_HEADER = 30

_UNREADABLE = (zipfile.BadZipFile, OSError, EOFError, zlib.error, RuntimeError, NotImplementedError, ValueError)
"""What the standard library raises for a damaged, encrypted or unknown file."""


class Archive:
    """A ZIP archive; a context manager.

    Args:
        path: of the archive.

    Raises:
        InputError: it is not a ZIP archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise InputError(f"{path} cannot be read: {first_line(error)}; is the file cut off?") from None

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *exception: object) -> None:
        self._zip.close()

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def read(self, name: str) -> bytes:
        """The contents of a file of the archive.

        Raises:
            InputError: there is none, it is damaged, encrypted or larger than `UNPACKED`, or it is compressed by
                Zstandard, which Python reads from 3.14 on, and the package zstandard is not installed.
        """
        where = f"{name} in {self.path}"
        try:
            info = self._zip.getinfo(name)
        except KeyError:
            raise InputError(f"{self.path} has no {name}") from None
        if info.file_size > UNPACKED:
            raise InputError(f"{where} unpacks to {info.file_size / 2**20:,.0f} MiB; up to 512 MiB are read")
        foreign = info.compress_type == _ZSTANDARD and not hasattr(zipfile, "ZIP_ZSTANDARD")
        unpacker = _zstandard_decompressor(self.path) if foreign else None
        try:
            content = self._unpacked(info) if unpacker is None else self._unpacked_by(unpacker, info)
        except _UNREADABLE as error:
            raise InputError(f"{where} cannot be read: {first_line(error)}") from None
        if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise InputError(f"{where} is damaged: its contents are not those that the archive declares")
        return content

    def _unpacked(self, info: zipfile.ZipInfo) -> bytes:
        with self._zip.open(info) as file:
            return file.read(info.file_size + 1)

    def _unpacked_by(self, unpacker: Any, info: zipfile.ZipInfo) -> bytes:
        """The contents of a file that is compressed by Zstandard, at most one byte more than it declares."""
        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            header = file.read(_LOCAL_HEADER)
            if len(header) < _LOCAL_HEADER or not header.startswith(b"PK\x03\x04"):
                raise zipfile.BadZipFile("the archive's table of contents points elsewhere")
            name, extra = struct.unpack("<HH", header[26:30])
            file.seek(name + extra, io.SEEK_CUR)
            packed = file.read(info.compress_size)
        try:
            return unpacker.stream_reader(io.BytesIO(packed), read_across_frames=True).read(info.file_size + 1)
        except Exception as error:  # zstandard's own type, which is known only where it is installed
            raise zipfile.BadZipFile(first_line(error)) from None


def _zstandard_decompressor(path: Path) -> Any:
    """What unpacks Zstandard. Raises InputError where it is not installed."""
    try:
        zstandard = import_module("zstandard")
    except ModuleNotFoundError:
        raise InputError(
            f"{path} is compressed by Zstandard: pip install 'evenhand[inspect]', or convert the log with "
            "`inspect log convert --to json`"
        ) from None
    return zstandard.ZstdDecompressor()
