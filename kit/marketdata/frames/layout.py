"""The parts of a schema: fields, lists of levels, and the tree that readers traverse."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple


class Field(IntEnum):
    """The type of a member. Numbers may be JSON numbers or texts; both are exact."""

    TEXT = 0
    """A short repeated text, such as a symbol."""
    IDENTIFIER = 1
    """A text that does not repeat."""
    INTEGER = 2
    DECIMAL = 3
    FLAG = 4
    TIME = 5
    """RFC 3339 text, as ns since the Unix epoch."""


class NodeKind(IntEnum):
    """Node kinds that are not fields; native/frames.c has the same numbers."""

    OBJECT = 10
    ROWS = 11
    """A list; each element is a row of the next scope."""
    LEVELS = 12


class LevelSides(IntEnum):
    """The sides of a list of levels."""

    BIDS = 0
    ASKS = 1
    BOTH = 2


MEMBERS_MAX = 64
"""Members of one object that a schema may read."""
LISTS_MAX = 3
"""Lists of rows within each other; native.SCOPES_MAX is one more."""

MemberKey = int | str
"""The place of a number in a level: an index of a list, or the name of a member."""


class LevelList(NamedTuple):
    """A list of price levels, each a list or an object."""

    sides: LevelSides
    price: MemberKey
    size: MemberKey
    side: MemberKey = -1
    bid: str = ""

    @classmethod
    def bids(cls, price: MemberKey, size: MemberKey) -> "LevelList":
        """[["61837.63","0.02"],…] with (0, 1), [{"price":…,"qty":…},…] with ("price", "qty")."""
        return cls(LevelSides.BIDS, price, size)

    @classmethod
    def asks(cls, price: MemberKey, size: MemberKey) -> "LevelList":
        return cls(LevelSides.ASKS, price, size)

    @classmethod
    def sided(cls, price: MemberKey, size: MemberKey, side: MemberKey, bid: str) -> "LevelList":
        """The text that marks bids in a list of both sides."""
        return cls(LevelSides.BOTH, price, size, side, bid)


class OptionalField(NamedTuple):
    """A member that may be absent or null, which reads as 0, "" or no levels."""

    content: Field | LevelList


Content = Field | LevelList | OptionalField


def optional(content: Field | LevelList) -> OptionalField:
    """A member that may be absent or null."""
    return OptionalField(content)


@dataclass(slots=True)
class SchemaNode:
    """A requested member, or a node on the path to one."""

    key: str
    kind: Field | NodeKind
    scope: int
    """Number of lists of rows above it."""
    name: str = ""
    """The name of the field in the schema."""
    optional: bool = False
    levels: LevelList | None = None
    children: "list[SchemaNode]" = field(default_factory=list)


def make_tree(rows: str, fields: Mapping[str, Content], outer: Mapping[str, Content]) -> SchemaNode:
    """The tree of a schema; its root is a frame. Raises ValueError for a contradictory path, and
    for a schema beyond what the compiled reader has room for."""
    root = SchemaNode("", NodeKind.OBJECT, 0)
    if rows:
        _way(root, rows)
    for name, content in fields.items():
        _add(root, f"{rows}.{name}" if rows else name, name, content)
    for path, content in outer.items():
        _add(root, path, path, content)
    _check(root, max(node.scope for node in _nodes(root)))
    return root


def _check(root: SchemaNode, innermost: int) -> None:
    if innermost > LISTS_MAX:
        raise ValueError(f"{innermost} lists within each other; at most {LISTS_MAX} are read")
    for node in _nodes(root):
        if len(node.children) > MEMBERS_MAX:
            raise ValueError(
                f"{node.key!r} has {len(node.children)} members; at most {MEMBERS_MAX} are read"
            )
        if node.kind is NodeKind.LEVELS and node.scope != innermost:
            raise ValueError(f"{node.name}: price levels are read from the innermost rows only")


def _nodes(node: SchemaNode) -> Iterator[SchemaNode]:
    yield node
    for child in node.children:
        yield from _nodes(child)


def _add(root: SchemaNode, path: str, name: str, content: Content) -> None:
    *way, key = path.split(".")
    parent = _way(root, ".".join(way)) if way else root
    wanted = content.content if isinstance(content, OptionalField) else content
    node = SchemaNode(key, NodeKind.LEVELS, parent.scope, name, isinstance(content, OptionalField))
    if isinstance(wanted, LevelList):
        node.levels = wanted
    else:
        node.kind = wanted
    parent.children.append(node)


def _way(root: SchemaNode, path: str) -> SchemaNode:
    """Get or create the object at a path."""
    at = root
    for member in path.split("."):
        key = member.removesuffix("[]")
        kind = NodeKind.ROWS if member.endswith("[]") else NodeKind.OBJECT
        found = next((child for child in at.children if child.key == key), None)
        if found is None:
            found = SchemaNode(key, kind, at.scope)
            if kind is NodeKind.ROWS:
                found.children.append(SchemaNode("", NodeKind.OBJECT, at.scope + 1))
            at.children.append(found)
        if found.kind is not kind:
            raise ValueError(f"{path}: {key} is both a list and an object")
        at = found.children[0] if kind is NodeKind.ROWS else found
    return at
