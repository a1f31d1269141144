"""The compiled part of the hot path, when there was a C compiler to build it; otherwise None.

The C files beside this one are built by ``ops.native_build`` at the first start, into gen/.
Everything works without them, slower: each function has a reference in Python, which decides
whenever the compiled one does not.
"""

import ctypes
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SOURCES = tuple(sorted(Path(__file__).parent.glob("*.c")))
HEADERS = tuple(sorted(Path(__file__).parent.glob("*.h")))
FOLDER = Path(__file__).resolve().parents[3] / "gen" / "native"
_FINGERPRINT = hashlib.sha256(
    b"".join(source.read_bytes() for source in SOURCES + HEADERS)
).hexdigest()
# Named after its sources, so that a library of others is never loaded.
LIBRARY_PATH = FOLDER / f"venuemesh-{_FINGERPRINT[:16]}.so"
OFF_VARIABLE = "VENUEMESH_NATIVE"

SYMBOLS_MAX = 4096
SYMBOL_SLOTS = 8192
SCOPES_MAX = 4
NONE_YET, VARIED = -1, -2

Pointer = ctypes.c_void_p
_Byte = ctypes.c_char
Count = ctypes.c_int64


class NativeMember(ctypes.Structure):
    """``struct place``."""

    _fields_ = (("key", ctypes.c_char_p), ("key_length", Count))


class NativeSchemaNode(ctypes.Structure):
    """``struct node``."""


NativeSchemaNode._fields_ = (
    ("key", ctypes.c_char_p),
    ("key_length", ctypes.c_int32),
    ("kind", ctypes.c_int32),
    ("optional", ctypes.c_int32),
    ("scope", ctypes.c_int32),
    ("child_count", ctypes.c_int32),
    ("sides", ctypes.c_int32),
    ("children", ctypes.POINTER(NativeSchemaNode)),
    ("values", Pointer),
    ("decimals", Pointer),
    ("texts", Pointer),
    ("uniform", Count),
    ("price", NativeMember),
    ("size", NativeMember),
    ("side", NativeMember),
    ("bid", ctypes.c_char_p),
    ("bid_length", Count),
)


class NativeLevels(ctypes.Structure):
    """``struct levels``."""

    _fields_ = (
        ("price", Pointer),
        ("price_decimals", Pointer),
        ("size", Pointer),
        ("size_decimals", Pointer),
        ("row_counts", Pointer),
        ("count", Count),
        ("capacity", Count),
        ("price_uniform", Count),
        ("size_uniform", Count),
    )


class NativeDistinctTexts(ctypes.Structure):
    """``struct texts``."""

    _fields_ = (
        ("start", Pointer),
        ("end", Pointer),
        ("count", Count),
        ("last", Count),
        ("slots", ctypes.c_int16 * SYMBOL_SLOTS),
    )


class NativeFrameOutput(ctypes.Structure):
    """``struct output``."""

    _fields_ = (
        ("bids", NativeLevels),
        ("asks", NativeLevels),
        ("parents", Pointer * SCOPES_MAX),
        ("counts", Count * SCOPES_MAX),
        ("row_capacity", Count),
        ("innermost", Count),
    )


class NativeBookSide(ctypes.Structure):
    """``struct side``."""

    _fields_ = (("keys", Pointer), ("sizes", Pointer), ("count", Count), ("slots", Count))


class NativeTruncatedLevels(ctypes.Structure):
    """``struct cuts``."""

    _fields_ = (("updates", Pointer), ("keys", Pointer), ("count", Count))


class NativeBook(ctypes.Structure):
    """``struct book``."""

    _fields_ = (
        ("bids", NativeBookSide),
        ("asks", NativeBookSide),
        ("bid_cuts", NativeTruncatedLevels),
        ("ask_cuts", NativeTruncatedLevels),
        ("depth", Count),
        ("checksum_kind", Count),
        ("stop_when_crossed", Count),
        ("price_scale", Count),
        ("size_scale", Count),
    )


class NativeLevelChanges(ctypes.Structure):
    """``struct changes``."""

    _fields_ = (("price", Pointer), ("size", Pointer), ("start", Pointer), ("count", Pointer))


class NativeColumn(ctypes.Structure):
    """``struct column``."""

    _fields_ = (
        ("values", Pointer),
        ("value_counts", Pointer),
        ("more", Pointer),
        ("more_counts", Pointer),
        ("count", Count),
        ("kind", ctypes.c_int32),
        ("tag", ctypes.c_int32),
    )


class NativeCopyColumn(ctypes.Structure):
    """``struct copied_column``."""

    _fields_ = (
        ("values", Pointer),
        ("seconds", Pointer),
        ("nulls", Pointer),
        ("kind", ctypes.c_int32),
        ("reserved", ctypes.c_int32),
    )


class NativeCopyRows(ctypes.Structure):
    """``struct copied``."""

    _fields_ = (
        ("columns", Pointer),
        ("column_count", Count),
        ("row_count", Count),
        ("header_seen", Count),
        ("pool", Pointer),
        ("pool_length", Count),
        ("fault", Count),
        ("fault_column", Count),
    )


def address(array: NDArray[Any]) -> int:
    """Where the numbers of a contiguous, writable array begin; 0 when it has none.

    What is only read is better handed over as ``array.tobytes()``, which ctypes takes as it is.
    """
    return ctypes.addressof(_Byte.from_buffer(array)) if array.size else 0  # type: ignore[arg-type]


def held(array: NDArray[Any]) -> NDArray[np.int64]:
    """The same numbers so that compiled code can read them; keep it while it does."""
    flags = array.flags
    if array.dtype == np.int64 and flags.c_contiguous and flags.writeable:
        return array
    return np.array(array, dtype=np.int64)


def _load() -> ctypes.PyDLL | None:
    if os.environ.get(OFF_VARIABLE) == "0" or not LIBRARY_PATH.exists():
        return None
    # PyDLL keeps the interpreter's lock: letting go of it for microseconds would hand it to
    # gRPC's thread, and waiting to get it back costs far more than the call.
    library = ctypes.PyDLL(str(LIBRARY_PATH))
    library.venuemesh_decode.restype = Count
    library.venuemesh_decode.argtypes = (Pointer, Pointer, Pointer, Count, Pointer, Pointer)
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
    library.venuemesh_write.restype = Count
    library.venuemesh_write.argtypes = (Pointer, Count, Pointer)
    library.venuemesh_follow.restype = Count
    library.venuemesh_follow.argtypes = (
        Pointer,
        Pointer,
        Count,
        Pointer,
        Pointer,
        Pointer,
        Pointer,
    )
    library.venuemesh_copied.restype = Count
    library.venuemesh_copied.argtypes = (Pointer, Count, Pointer)
    return library


library = _load()
