"""The answer of a language model: its schema, and strict reading."""

import json
from typing import Annotated, Any, Literal, NoReturn

import msgspec
from msgspec import Meta

ANSWER_BYTES_MAX = 16 * 1024
REASONS_MAX, REASON_CHARACTERS_MAX = 5, 400
CLAIMS_MAX = 20

Percent = Annotated[int, Meta(ge=0, le=100)]
Name = Annotated[str, Meta(max_length=60)]


class AnswerRejected(Exception):
    """An answer that is not used.

    AnswerRejected
    ├── InvalidAnswer     it is not what was asked for
    └── Hallucination     it states what is not so
    """


class InvalidAnswer(AnswerRejected):
    """An answer that is not of the schema."""


class Hallucination(AnswerRejected):
    """An answer with a claim that no known value supports."""


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that the answer rests on."""

    fact_id: Name
    value: Name
    """Decimal text."""
    unit: Name


class ModelAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model advises."""

    symbol: Name
    """What it believes to advise on; compared."""
    interval: Name
    claims: Annotated[tuple[Claim, ...], Meta(max_length=CLAIMS_MAX)]
    reasons: Annotated[
        tuple[Annotated[str, Meta(max_length=REASON_CHARACTERS_MAX)], ...],
        Meta(min_length=1, max_length=REASONS_MAX),
    ]
    bias: Literal["supports", "neutral", "opposes"]
    """Whether the facts support the signal."""
    size_percent: Percent
    """Of the size by the rules."""
    confidence_percent: Percent
    """Recorded, and used for nothing."""


def schema() -> dict[str, Any]:
    """JSON Schema of an answer, for ``response_format``: an object at the root, without
    patterns."""
    found = msgspec.json.schema(ModelAnswer)
    definitions: dict[str, Any] = found["$defs"]
    root: dict[str, Any] = definitions.pop(ModelAnswer.__name__)
    return {**root, "$defs": definitions}


def read(raw: bytes) -> ModelAnswer:
    """The answer. Raises InvalidAnswer: too long, not UTF-8, not JSON, not of the schema."""
    if len(raw) > ANSWER_BYTES_MAX:
        raise InvalidAnswer(f"it has {len(raw)} bytes; at most {ANSWER_BYTES_MAX} are read")
    try:
        found = json.loads(
            raw.decode(),
            object_pairs_hook=_unique,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
        return msgspec.convert(found, ModelAnswer)
    except RecursionError:
        raise InvalidAnswer("it is nested too deeply") from None
    except ValueError as error:
        # Errors of decoding, of JSON, of msgspec, and of whole numbers with too many digits.
        raise InvalidAnswer(str(error)[:200]) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidAnswer("a field is given twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise InvalidAnswer(f"{text[:40]} is not a whole number")
