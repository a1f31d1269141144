"""The import graph of the product: its cycles, and every import of the simulator.

``python -m tests.tidy.imports`` prints both. ``.importlinter`` holds the layers.
"""

from collections.abc import Iterator

import grimp

PACKAGES = ("kit", "venues", "core", "gateway", "ops")
SIMULATOR = "kit.simulator"


def product_graph(external: bool = False) -> grimp.ImportGraph:
    """The import graph of everything but tests. ``external``: with packages from elsewhere, each as
    one module."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None, include_external_packages=external)
    for module in sorted(graph.modules):
        if "tests" in module.split("."):
            graph.remove_module(module)
    return graph


def cycles(graph: grimp.ImportGraph) -> list[str]:
    """The imports that close a cycle between the children of some package, as "a imports b"."""
    packages = [module for module in graph.modules if graph.find_children(module)]
    return [
        f"{importer} imports {imported}"
        for package in sorted(packages)
        for importer, imported in sorted(graph.nominate_cycle_breakers(package))
    ]


def simulator_importers(graph: grimp.ImportGraph) -> dict[str, str]:
    """Each module outside the simulator that imports it, with the role that allows the import.

    The role is empty where nothing allows it.
    """
    inside = {SIMULATOR, *graph.find_descendants(SIMULATOR)}
    importers = {
        importer
        for module in inside
        for importer in graph.find_modules_that_directly_import(module)
        if importer not in inside
    }
    return {importer: _role(importer) for importer in sorted(importers)}


def _role(module: str) -> str:
    parts = module.split(".")
    if parts[0] == "venues" and parts[2:3] == ["simulator"]:
        return "a venue's own simulator"
    if parts[0] == "ops":
        return "operations"
    if parts[:2] == ["kit", "conformance"]:
        return "the conformance cards, which are tests"
    return ""


def _lines() -> Iterator[str]:
    graph = product_graph()
    found = cycles(graph)
    yield f"cycles: {len(found) or 'none'}"
    yield from (f"  {line}" for line in found)
    importers = simulator_importers(graph)
    yield f"modules outside {SIMULATOR} that import it: {len(importers)}"
    yield from (f"  {module}: {role or 'NOT ALLOWED'}" for module, role in importers.items())


if __name__ == "__main__":
    print("\n".join(_lines()))
