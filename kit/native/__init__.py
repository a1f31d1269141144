"""The compiled part of the hot path, when there was a C compiler to build it; otherwise None.

The C files beside this one are built by ``ops.native`` at the first start, into gen/. Everything
works without them, slower: each function has a reference in Python, which decides whenever the
compiled one does not.
"""

import ctypes
import hashlib
import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

SOURCES = tuple(sorted(Path(__file__).parent.glob("*.c")))
FOLDER = Path(__file__).resolve().parents[2] / "gen" / "native"
_FINGERPRINT = hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()
# Named after its sources, so that a library of others is never loaded.
LIBRARY_PATH = FOLDER / f"venuemesh-{_FINGERPRINT[:16]}.so"
OFF_VARIABLE = "VENUEMESH_NATIVE"

SYMBOLS_MAX = 4096
SYMBOL_SLOTS = 8192

Pointer = ctypes.c_void_p
Count = ctypes.c_int64


class Field(ctypes.Structure):
    """``struct field``."""

    _fields_ = (
        ("key", ctypes.c_char_p),
        ("key_length", ctypes.c_int32),
        ("kind", ctypes.c_int32),
        ("values", Pointer),
        ("decimals", Pointer),
    )


class Levels(ctypes.Structure):
    """``struct levels``."""

    _fields_ = (
        ("price", Pointer),
        ("price_decimals", Pointer),
        ("size", Pointer),
        ("size_decimals", Pointer),
        ("count", Count),
        ("capacity", Count),
    )


class Texts(ctypes.Structure):
    """``struct texts``."""

    _fields_ = (
        ("start", Pointer),
        ("end", Pointer),
        ("count", Count),
        ("slots", ctypes.c_int16 * SYMBOL_SLOTS),
    )


def address(array: NDArray[Any]) -> int:
    """Where an array's numbers begin, to be asked once per array: it costs a microsecond.

    What is only read is better handed over as ``array.tobytes()``, which ctypes takes as it is.
    """
    where: int = array.__array_interface__["data"][0]
    return where


def _load() -> ctypes.CDLL | None:
    if os.environ.get(OFF_VARIABLE) == "0" or not LIBRARY_PATH.exists():
        return None
    library = ctypes.CDLL(str(LIBRARY_PATH))
    library.venuemesh_decode.restype = Count
    library.venuemesh_decode.argtypes = (
        Pointer,
        Pointer,
        Pointer,
        Count,
        ctypes.c_char_p,
        Count,
        Pointer,
        Count,
        Pointer,
        Pointer,
    )
    library.venuemesh_classify.restype = None
    library.venuemesh_classify.argtypes = (
        Pointer,
        Pointer,
        Pointer,
        Count,
        Pointer,
        Pointer,
        Count,
        Count,
        Pointer,
    )
    library.venuemesh_pack.restype = Count
    library.venuemesh_pack.argtypes = (Pointer, Count, Count, Pointer)
    library.venuemesh_set_levels.restype = Count
    library.venuemesh_set_levels.argtypes = (
        Pointer,
        Pointer,
        Count,
        Count,
        Pointer,
        Pointer,
        Count,
    )
    return library


library = _load()
