"""The REST API as an HTML page, made from its OpenAPI document."""

from collections.abc import Iterator
from html import escape
from typing import Any

Json = dict[str, Any]

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Venuemesh API</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; }}
code {{ font: 14px/1.5 ui-monospace, monospace; }}
h3 {{ margin: 2rem 0 0; }}
dt {{ margin-top: .4rem; }}
dd {{ margin-left: 1.5rem; opacity: .8; }}
</style>
</head>
<body>
<h1>Venuemesh API</h1>
<p>{description}</p>
<p>For programs: <a href="/openapi.json">openapi.json</a>. The same over gRPC and gRPC-web on this
port; reflection lists all services.</p>
{body}
</body>
</html>
"""


def page(document: Json) -> str:
    """The page as HTML without scripts."""
    return PAGE.format(
        description=escape(document["info"]["description"]), body="\n".join(_body(document))
    )


def _body(document: Json) -> Iterator[str]:
    for tag in document["tags"]:
        operations = list(_operations(document, tag["name"]))
        if operations:
            yield f"<h2>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>"
            yield from operations


def _operations(document: Json, tag: str) -> Iterator[str]:
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            if tag not in operation["tags"]:
                continue
            yield f"<h3><code>{verb.upper()} {escape(path)}</code></h3>"
            yield f"<p>{escape(operation['description'])}</p>"
            yield f"<dl>{''.join(_fields(operation))}</dl>"


def _fields(operation: Json) -> Iterator[str]:
    for parameter in operation["parameters"]:
        yield _field(parameter["name"], parameter["in"], parameter["description"])
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        for name, field in schema["properties"].items():
            yield _field(name, "body", field["description"])


def _field(name: str, place: str, description: str) -> str:
    return f"<dt><code>{escape(name)}</code> ({place})</dt><dd>{escape(description)}</dd>"
