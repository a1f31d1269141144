"""Conformance cards: tests that every connector must pass against the venue's own simulator.

Each card injects what an exchange may do (lose or repeat a frame, close a connection, list a symbol
twice) and compares what the connector publishes with what happened at the exchange.
"""
