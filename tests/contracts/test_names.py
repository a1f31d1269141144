"""One name, one thing: no two packages have a service, message or enum of the same name."""

from collections import defaultdict

from gateway import service_contracts

CONTRACTS = service_contracts.load()
# Named by their method, as buf lint asks, and found by its service. They are on no wire, but buf
# breaking refuses to rename them.
SHARED_METHODS = {"Heartbeat", "ListTrades", "Subscribe"}


def _packages_by_name():
    found = defaultdict(set)
    for file in CONTRACTS.descriptors.file:
        if file.package.startswith("venuemesh."):
            for one in (*file.service, *file.message_type, *file.enum_type):
                found[one.name].add(file.package)
    return found


def test_a_name_is_in_one_package():
    shared = {name for name, packages in _packages_by_name().items() if len(packages) > 1}
    assert shared == {
        f"{method}{kind}" for method in SHARED_METHODS for kind in ("Request", "Response")
    }


def test_a_method_of_a_service_has_messages_of_its_own():
    used = defaultdict(list)
    for contract in CONTRACTS.services:
        for method in contract.methods:
            for message in (method.request, method.response):
                used[message].append(f"{contract.name}.{method.name}")
    shared = {message: methods for message, methods in used.items() if len(methods) > 1}
    assert shared == {}
