"""The schemas of all venues, as C for the fuzz target of the frame reader."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from functools import cache

import venues
from kit.marketdata.frames import Field, FrameSchema, LevelList, optional
from kit.marketdata.frames.layout import MemberKey, NodeKind, SchemaNode

EVERY_KIND = FrameSchema(
    "data[]",
    {
        "s": Field.TEXT,
        "i": Field.INTEGER,
        "d": Field.DECIMAL,
        "f": Field.FLAG,
        "t": Field.TIME,
        "id": Field.IDENTIFIER,
        "o": optional(Field.DECIMAL),
        "w": optional(Field.TEXT),
        "b": LevelList.bids(0, 1),
        "a": LevelList.asks("price", "qty"),
        "c": optional(LevelList.sided(1, 2, side=0, bid="buy")),
    },
    outer={"stream": Field.TEXT, "at.ts": Field.INTEGER},
)
NESTED = FrameSchema(
    "e[].r[].q[]",
    {"p": Field.INTEGER, "x.y": optional(Field.IDENTIFIER)},
    {"e[].k": Field.TEXT, "e[].r[].t": Field.TIME, "n": Field.DECIMAL},
)
EVERY_KIND_FRAME = (
    b'{"stream":"x","data":[{"s":"BTC","i":"-12","d":1.5e-3,"f":true,'
    b'"t":"2026-07-20T03:39:38.235508Z","id":"id-1","o":null,"w":"north","x":[1,{"q":null}],'
    b'"b":[["61837.63","0.02"],[1,2,"0"]],"a":[{"qty":1,"x":"","price":"2.50"}],'
    b'"c":[["buy","1","2"],["sell",3,4]]}],"at":{"ts":7}}'
)
NESTED_FRAME = (
    b'{"n":1.5,"e":[{"k":"a","r":[{"t":"2024-02-29T00:00:00Z","q":[{"p":1,"x":{"y":"z"}},'
    b'{"x":{},"p":2}]}]},{"k":"b","r":[]}]}'
)


@cache
def all_schemas() -> tuple[FrameSchema, ...]:
    """A schema of every kind of field, one of lists in lists, and those of all venues by name. A
    fuzz input names its schema by its index here."""
    found = [EVERY_KIND, NESTED]
    for module in sorted(module.name for module in pkgutil.iter_modules(venues.__path__)):
        if module in ("conftest", "ccxt"):
            continue
        parse = importlib.import_module(f"venues.{module}.parse")
        found += [
            value for _, value in sorted(vars(parse).items()) if isinstance(value, FrameSchema)
        ]
    return tuple(found)


def header() -> str:
    """The text of schemas.h."""
    lines, schemas = [], []
    for number, schema in enumerate(all_schemas()):
        tree = schema._tree
        lines += _children(tree, f"schema_{number}")
        lines.append(f"static struct node schema_{number} = {_node(tree, f'schema_{number}')};")
        schemas.append(f"    {{&schema_{number}, {max(_scopes(tree))}}},")
    return "\n".join(
        [
            *lines,
            "struct schema { struct node *root; int64_t innermost; };",
            "static struct schema schemas[] = {",
            *schemas,
            "};",
            "enum { SCHEMA_COUNT = sizeof schemas / sizeof *schemas };",
            "",
        ]
    )


def dictionary() -> str:
    """Tokens for the fuzzing engine: what stands in frames."""
    words = {node.key for schema in all_schemas() for node in _nodes(schema._tree) if node.key}
    tokens = [f'"{word}":' for word in sorted(words)]
    tokens += ["[[", "]]", "},{", '"],["', "null", "true", "false", "e-9", "E99", "0.0", "-0"]
    tokens += ['"2026-07-20T03:39:38.235508Z"', "000000000000000000", "999999999999999999"]
    return "".join(f"{json.dumps(token)}\n" for token in tokens)


def _children(node: SchemaNode, name: str) -> Iterator[str]:
    if not node.children:
        return
    for place, child in enumerate(node.children):
        yield from _children(child, f"{name}_{place}")
    nodes = ", ".join(_node(child, f"{name}_{place}") for place, child in enumerate(node.children))
    yield f"static struct node {name}_children[] = {{{nodes}}};"


def _node(node: SchemaNode, name: str) -> str:
    key = node.key.encode()
    parts = [
        f".key = {json.dumps(node.key)}, .key_length = {len(key)}, .kind = {int(node.kind)}",
        f".optional = {int(node.optional)}, .scope = {node.scope}",
    ]
    if node.children:
        parts.append(f".child_count = {len(node.children)}, .children = {name}_children")
    if node.levels is not None:
        levels = node.levels
        parts += [
            f".sides = {int(levels.sides)}, .price = {_place(levels.price)}",
            f".size = {_place(levels.size)}, .side = {_place(levels.side)}",
            f".bid = {json.dumps(levels.bid)}, .bid_length = {len(levels.bid.encode())}",
        ]
    return f"{{{', '.join(parts)}}}"


def _place(place: MemberKey) -> str:
    if isinstance(place, int):
        return f"{{0, {-1 - place}}}"
    return f"{{{json.dumps(place)}, {len(place.encode())}}}"


def _nodes(node: SchemaNode) -> Iterator[SchemaNode]:
    yield node
    for child in node.children:
        yield from _nodes(child)


def _scopes(tree: SchemaNode) -> Iterator[int]:
    return (
        node.scope for node in _nodes(tree) if node.kind not in (NodeKind.OBJECT, NodeKind.ROWS)
    )
