"""Files of weights: read whole, and known by the SHA-256 of what they hold."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from bench import registry
from bench.errors import DataError

_PIN = re.compile(r"[0-9a-fA-F]{8,64}")


def expanded(name: str, mend: str) -> Path:
    """The path that was named; raises `DataError`, ending in `mend`, for one in the home folder of
    a user who does not exist."""
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise DataError(f"{name}: {error}; {mend}") from error


def called(path: Path) -> str:
    """What the extractor in a file is called: the file's stem, and the whole name where that is a
    built-in's, whose numbers these are not."""
    return path.name if path.stem in registry.BUILT_IN["extractors"] else path.stem


def read(path: Path, pin: str, mend: str) -> tuple[bytes, str]:
    """A file's content and its SHA-256.

    `pin`: the digest it must have, or at least the first eight hexadecimal digits; empty: any.
    Raises `DataError` for another file, and for none, where `mend` ends the message.
    """
    if pin and not _PIN.fullmatch(pin):
        raise DataError(
            f"{path}: found #sha256={pin}, expected 8 to 64 hexadecimal digits of its SHA-256"
        )
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path that no system takes
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: {reason}; {mend}") from error
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(pin.lower()):
        raise DataError(
            f"{path}: SHA-256 {digest}, expected {pin}: another file than was named, or changed "
            "since; put the right one there, or name this one's digest"
        )
    return content, digest
