"""Lines at the end of a file that is only appended to: on the disk, or not in the file."""

from __future__ import annotations

import contextlib
import os
from io import FileIO
from pathlib import Path

from healtheat.core.atomic import sync_folder
from healtheat.core.conditions import naming
from healtheat.core.errors import HealtheatError
from healtheat.core.files import check_regular


class NotKnown(HealtheatError):
    """An append failed, and so did taking it out again: it may count or not."""


def append_synced(path: Path, data: bytes, at: int) -> None:
    """Put `data` behind the first `at` bytes of the file, which is made if it is not there; cut off the rest.

    It is on the disk when this returns, and nothing is reported as a failure that comes after that. Where an
    OSError is raised, it is not in the file. Raises NotKnown where nobody can tell.
    """
    with naming(path):
        check_regular(path)
        if not path.exists():
            path.open("xb").close()
            sync_folder(path.parent)  # before the line, which counts as soon as it is there
        file = path.open("ab", buffering=0)
        try:
            if os.fstat(file.fileno()).st_size != at:
                file.truncate(at)
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError as error:
            _take_out(file, at, error)
            raise
        finally:
            with contextlib.suppress(OSError):  # all is synced, or taken out
                file.close()


def _take_out(file: FileIO, at: int, error: OSError) -> None:
    """Cut off what a failed append wrote behind `at`. Raises NotKnown where that fails as well."""
    try:
        file.truncate(at)
        os.fsync(file.fileno())
    except OSError:
        if os.fstat(file.fileno()).st_size > at:
            raise NotKnown(
                f"{file.name}: {error.strerror}; it is not known whether this was saved; check the disk, "
                "then look at it again"
            ) from error
