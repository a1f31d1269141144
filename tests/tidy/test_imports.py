"""The import graph has no cycle, and production does not import the simulator."""

import grimp
import pytest

from tests.tidy.imports import cycles, product_graph, simulator_importers


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return product_graph()


def test_no_package_and_no_module_is_in_a_cycle(graph: grimp.ImportGraph) -> None:
    assert cycles(graph) == []


def test_a_cycle_is_found(graph: grimp.ImportGraph) -> None:
    closed = product_graph()
    closed.add_import(importer="kit.base.errors", imported="kit.base.rpc")
    assert cycles(closed) != []
    assert cycles(graph) == []


def test_the_simulator_is_imported_by_operations_and_simulators_only(
    graph: grimp.ImportGraph,
) -> None:
    importers = simulator_importers(graph)
    assert [module for module, role in importers.items() if not role] == []
    assert "venues.kraken.simulator" in importers


def test_an_import_of_the_simulator_by_a_connector_is_found() -> None:
    graph = product_graph()
    graph.add_import(importer="kit.connector.process.app", imported="kit.simulator.dialect")
    assert simulator_importers(graph)["kit.connector.process.app"] == ""
