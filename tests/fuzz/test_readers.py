"""Compiled readers stay within their arrays, and agree with their references, on broken input.

``python -m tests.fuzz`` searches for such inputs, and every one that it has found is kept here.
"""

import gc
import os
import random
import subprocess
import tracemalloc

import pytest

from kit.marketdata import native
from kit.marketdata.book.checksum import Checksum
from kit.marketdata.book.levels import BookConstraints
from kit.marketdata.model.columns import Scale
from kit.storage.archive.copy_layout import CopyColumn, CopyColumnType, framed
from tests.fuzz import build, inputs, seeds
from tests.fuzz.references import COMPARISONS, check_agreement

MUTANTS = 1_500
COMPARED = 150
READINGS = 10
MOST_REPETITIONS = 40
FRAMES = 25
"""Deeper than a reader and its reference call."""
SMALLEST_OBJECT_BYTES = 24
"""Some of the objects that are lost take the place of others: half of it is a loss."""
BYTES = b'{}[]",:.-0189eEtfn \\\n\x00\x01\x7f\x80\xff'
EVERY_KIND = 0
DIGITS = b"0" * 19
FAR_TIME = b'{"data":[{"t":"%b"}]}'
NEGATIVE = [inputs.level(-5, 7, is_ask=False), inputs.level(3, -1, is_ask=True)]
SURPLUS = seeds.COPY_HEADER + seeds.copy_row([b"text"]) + b"more"
FOUND = {
    "frames": [
        # Zeros up to the end of the last frame were counted beyond it.
        inputs.frames_input(EVERY_KIND, [b'{"at":{"ts":"' + DIGITS]),
        inputs.frames_input(EVERY_KIND, [b'{"at":{"ts":"0.' + DIGITS]),
        # Times of which the ns are no int64.
        inputs.frames_input(EVERY_KIND, [FAR_TIME % b"9999-12-31T23:59:59Z"]),
        inputs.frames_input(EVERY_KIND, [FAR_TIME % b"0001-01-01T00:00:00Z"]),
    ],
    # Bytes of a row that has more bytes than columns were kept.
    "copy": [inputs.copy_input([CopyColumn("c0", CopyColumnType.BYTES)], 0, framed(SURPLUS))],
    # A column without numbers, which is a null pointer.
    "columns": [inputs.columns_input([[], [], []])],
    # Negative numbers were written without their sign.
    "books": [
        inputs.books_input(BookConstraints(kind), Scale(1, 1), [NEGATIVE] * 2)
        for kind in (Checksum.ASKS_THEN_BIDS, Checksum.INTERLEAVED)
    ],
}


@pytest.fixture(scope="module")
def compiler(tmp_path_factory):
    found = build.sanitizing_compiler(tmp_path_factory.mktemp("compiler"))
    if found is None:
        pytest.skip("no C compiler with AddressSanitizer and UndefinedBehaviorSanitizer")
    return found


def mutant(source, samples):
    victim = bytearray(source.choice(samples))
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(victim) + 1)
        match source.randrange(5):
            case 0:
                del victim[at:]
            case 1:
                victim[at : at + 1] = bytes((source.choice(BYTES),))
            case 2:
                victim.insert(at, source.choice(BYTES))
            case 3:
                victim[at:at] = bytes((source.choice(BYTES),)) * source.choice((2, 20, 70))
            case 4:
                del victim[at : at + source.choice((1, 1, 8))]
    return bytes(victim)


def broken(target, count):
    samples = seeds.samples()[target]
    source = random.Random(target)
    return [*samples, *FOUND.get(target, ()), *(mutant(source, samples) for _ in range(count))]


@pytest.mark.parametrize("target", build.TARGETS)
def test_no_input_leads_out_of_the_arrays(target, compiler, tmp_path):
    program = build.build_replayer(target, compiler, tmp_path)
    packed = tmp_path / "inputs"
    packed.write_bytes(build.pack(broken(target, MUTANTS)))
    done = subprocess.run(
        [str(program), str(packed)],
        capture_output=True,
        text=True,
        env=os.environ | build.ENVIRONMENT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:4000]


@pytest.mark.skipif(native.library is None, reason="no C compiler")
@pytest.mark.parametrize("target", COMPARISONS)
def test_compiled_code_agrees_with_its_reference(target):
    for data in broken(target, COMPARED):
        check_agreement(target, data)


@pytest.mark.skipif(native.library is None, reason="no C compiler")
@pytest.mark.parametrize("target", COMPARISONS)
def test_reading_keeps_no_memory(target):
    samples = broken(target, 10)

    def memory_after_readings():
        for _ in range(READINGS):
            for data in samples:
                check_agreement(target, data)
        gc.collect()
        found = tracemalloc.take_snapshot().filter_traces([of_this_test])
        return sum(trace.size for trace in found.traces)

    # Threads of other tests may still allocate.
    of_this_test = tracemalloc.Filter(inclusive=True, filename_pattern=__file__, all_frames=True)
    kept, lost = [], SMALLEST_OBJECT_BYTES * READINGS * len(samples) // 2
    tracemalloc.start(FRAMES)
    try:
        used = memory_after_readings()
        # Free lists and caches grow less each time; memory that is lost grows by the same.
        while len(kept) < MOST_REPETITIONS and (not kept or kept[-1] >= lost):
            before, used = used, memory_after_readings()
            kept.append(used - before)
    finally:
        tracemalloc.stop()
    assert kept[-1] < lost, kept
