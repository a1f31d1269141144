"""The form in which a model gets an answer, and the schema of that form.

Both are made from the schema of the REST answer:

- A list of flat messages becomes a table: the names of its columns once, then the values of each
  row. Columns without any value are left out.
- Fields without a value are left out. Points in time are ISO 8601 (times.py).
- Text from outside is cleaned, and the names of its fields are collected (untrusted_fields.py).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway.mcp import times, untrusted_fields
from gateway.mcp.untrusted_fields import OWN_FIELDS, is_number
from kit.base.outside_text import cleaned

Json = dict[str, Any]
Marks = set[str]
"""Names of the fields with text from outside."""
Form = Callable[[Any, str, Marks], Any]
"""Gives a value its form. The text is the name of its field, for the marks."""

REFERENCE = "#/components/schemas/"
DEFINITION = "#/$defs/"
COMMON_PREFIX = "venuemesh."
UNSPECIFIED = "_UNSPECIFIED"
COLUMNS_MAX = 40
MESSAGES_MAX = 4
"""A message with more fields, or more messages in it, is no row of a table but an object."""
ABSENT: tuple[Any, ...] = ("", [], {}, None)


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """The form of the answers of one operation."""

    schema: Json
    """Of what ``apply`` returns, in JSON Schema 2020-12."""
    tables: frozenset[str]
    """Fields of the answer that are tables."""
    form: Form

    def apply(self, answer: Any) -> tuple[Json, list[str]]:
        """The answer in its form, and the fields with text from outside."""
        marks: Marks = set()
        return self.form(answer, "", marks), sorted(marks)


def form_of(schema: Json, schemas: Json) -> AnswerForm:
    """The form for answers with this schema, which may refer to others."""
    builder = _Builder(schemas)
    built = builder.build(schema, "")
    target = builder.message(_name(schema))
    tables = {
        times.readable_name(name)
        for name, one in target["properties"].items()
        if builder.is_table(one)
    }
    root = builder.definitions.pop(_short(_name(schema)), built.schema)
    definitions = {"$defs": builder.definitions} if builder.definitions else {}
    return AnswerForm(root | definitions, frozenset(tables), built.form)


@dataclass(frozen=True, slots=True)
class _Built:
    schema: Json
    form: Form


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    path: tuple[str, ...]
    built: _Built
    description: str


@dataclass(slots=True)
class _Builder:
    """Builds forms, each message once."""

    schemas: Json
    definitions: Json = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)

    def message(self, name: str) -> Json:
        """The schema of a message or an enum."""
        found: Json = self.schemas[name]
        return found

    def build(self, schema: Json, name: str) -> _Built:
        """``name``: that of the field in the contract."""
        if reference := _name(schema):
            if "enum" in self.message(reference):
                return _enumeration(self.message(reference))
            return self._object(reference)
        kind = schema.get("type")
        if kind == "array":
            return self._list(schema["items"], name)
        if kind == "object":
            return self._map(schema["additionalProperties"], name)
        return _scalar(schema, name)

    def is_table(self, schema: Json) -> bool:
        """Whether a field of this schema is shown as a table."""
        if schema.get("type") != "array" or not (name := _name(schema["items"])):
            return False
        if "enum" in self.message(name):
            return False
        parts = self.message(name)["properties"].values()
        inner = sum(1 for part in parts if self._is_message(part))
        return inner <= MESSAGES_MAX and len(list(self._columns(name))) <= COLUMNS_MAX

    def _is_message(self, schema: Json) -> bool:
        name = _name(schema)
        return bool(name) and "enum" not in self.message(name)

    def _object(self, reference: str) -> _Built:
        short = _short(reference)
        if reference not in self.forms:
            # Before its fields, as a message may contain itself.
            self.forms[reference] = lambda value, name, marks: late(value, name, marks)
            self.definitions[short] = {}
            message = self.message(reference)
            fields = {
                name: (times.readable_name(name), self.build(part, name))
                for name, part in message["properties"].items()
            }
            late = _object_form({name: (shown, one.form) for name, (shown, one) in fields.items()})
            self.forms[reference] = late
            self.definitions[short] = {
                "type": "object",
                "properties": {
                    shown: _with_text(one.schema, message["properties"][name])
                    for name, (shown, one) in fields.items()
                },
                "additionalProperties": False,
            }
        return _Built({"$ref": f"{DEFINITION}{short}"}, self.forms[reference])

    def _list(self, items: Json, name: str) -> _Built:
        if self.is_table({"type": "array", "items": items}):
            return self._table(_name(items))
        inner = self.build(items, name)

        def form(value: Any, path: str, marks: Marks) -> Any:
            return [inner.form(one, path, marks) for one in value]

        return _Built({"type": "array", "items": inner.schema}, form)

    def _map(self, values: Json, name: str) -> _Built:
        inner = self.build(values, name)

        def form(value: Any, path: str, marks: Marks) -> Any:
            return {cleaned(key): inner.form(one, path, marks) for key, one in value.items()}

        return _Built({"type": "object", "additionalProperties": inner.schema}, form)

    def _table(self, reference: str) -> _Built:
        columns = list(self._columns(reference))
        lines = [f"{one.name}: {one.description}" for one in columns if one.description]
        names = {"type": "array", "items": {"enum": [one.name for one in columns]}}
        schema = {
            "type": "object",
            "description": "A table. Its columns: " + " ".join(lines),
            "properties": {
                "columns": names,
                "rows": {"type": "array", "items": {"type": "array"}},
            },
            "required": ["columns", "rows"],
            "additionalProperties": False,
        }
        return _Built(schema, _table_form(columns))

    def _columns(
        self, reference: str, before: tuple[str, ...] = (), seen: tuple[str, ...] = ()
    ) -> Iterator[_Column]:
        for name, part in self.message(reference)["properties"].items():
            path = (*before, name)
            inner = _name(part)
            if self._is_message(part) and inner not in seen:
                yield from self._columns(inner, path, (*seen, reference))
                continue
            shown = ".".join((*before, times.readable_name(name)))
            built = _Built({}, _unchanged) if inner in seen else self._cell(part, name)
            yield _Column(shown, path, built, _first_sentence(part))

    def _cell(self, part: Json, name: str) -> _Built:
        """In a cell there is no table."""
        if part.get("type") == "array":
            inner = self.build(part["items"], name)

            def form(value: Any, path: str, marks: Marks) -> Any:
                return [inner.form(one, path, marks) for one in value]

            return _Built({}, form)
        return self.build(part, name)


def _object_form(fields: dict[str, tuple[str, Form]]) -> Form:
    def form(value: Any, path: str, marks: Marks) -> Any:
        shown = {}
        for name, inner in value.items():
            known = fields.get(name)
            if known is None or inner in ABSENT or _is_unspecified(inner):
                continue
            shown[known[0]] = known[1](inner, known[0], marks)
        return shown

    return form


def _table_form(columns: list[_Column]) -> Form:
    def form(value: Any, path: str, marks: Marks) -> Any:
        kept, cells = [], []
        for column in columns:
            found = [_at(row, column.path) for row in value]
            if all(one in ABSENT or _is_unspecified(one) for one in found):
                continue
            shape = column.built.form
            kept.append(column.name)
            cells.append(
                [None if one in ABSENT else shape(one, column.name, marks) for one in found]
            )
        return {"columns": kept, "rows": [list(row) for row in zip(*cells, strict=True)]}

    return form


def _at(row: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        row = row.get(name) if row else None
    return row


def _scalar(schema: Json, name: str) -> _Built:
    form = schema.get("format")
    if form in ("int64", "uint64"):
        if times.is_time(name):
            return _Built({"type": ["string", "null"], "format": "date-time"}, _time)
        return _Built({"type": "string"}, _unchanged)
    if form == "byte":
        return _Built({"type": "string"}, _unchanged)
    if schema["type"] == "string":
        return _Built({"type": "string"}, _own_text(name) if name in OWN_FIELDS else _text)
    if schema["type"] == "number":
        return _Built({"type": ["number", "null"]}, _number)
    return _Built({"type": schema["type"]}, _unchanged)


def _enumeration(schema: Json) -> _Built:
    return _Built({"type": "string", "enum": schema["enum"]}, _unchanged)


def _unchanged(value: Any, path: str, marks: Marks) -> Any:
    return value


def _own_text(name: str) -> Form:
    return lambda value, path, marks: untrusted_fields.own(name, value)


def _text(value: Any, path: str, marks: Marks) -> Any:
    if is_number(value):
        return value
    marks.add(path)
    return cleaned(value)


def _time(value: Any, path: str, marks: Marks) -> Any:
    return times.to_iso(int(value)) if int(value) else None


def _number(value: Any, path: str, marks: Marks) -> Any:
    # As text, JSON has what is no number: NaN and the infinities.
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _is_unspecified(value: Any) -> bool:
    return isinstance(value, str) and value.endswith(UNSPECIFIED)


def _name(schema: Json) -> str:
    return str(schema.get("$ref", "")).removeprefix(REFERENCE)


def _short(name: str) -> str:
    return name.removeprefix(COMMON_PREFIX)


def _with_text(schema: Json, field: Json) -> Json:
    """The schema of a field, with the first sentence of the field's description first."""
    text = f"{_first_sentence(field)} {schema.get('description', '')}".strip()
    return schema | ({"description": text} if text else {})


def _first_sentence(schema: Json) -> str:
    text, dot, _ = str(schema.get("description", "")).partition(". ")
    return text + dot.strip()
