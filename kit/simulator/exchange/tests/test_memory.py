"""What is remembered of clients has a bound."""

from kit.simulator.exchange.bounded_cache import BoundedCache


def test_the_oldest_value_is_forgotten():
    memory: BoundedCache[str, int] = BoundedCache(2)
    for place, name in enumerate("abc"):
        memory.keep(name, place)
    assert "a" not in memory
    assert memory.get("a") is None
    assert (memory.get("b"), memory.get("c")) == (1, 2)


def test_a_value_stored_again_is_the_newest():
    memory: BoundedCache[str, int] = BoundedCache(2)
    for place, name in enumerate("abac"):
        memory.keep(name, place)
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == (2, None, 3)


def test_a_taken_value_is_removed():
    memory: BoundedCache[str, int] = BoundedCache(2)
    memory.keep("a", 0)
    assert memory.take("a") == 0
    assert memory.take("a") is None
    assert "a" not in memory
