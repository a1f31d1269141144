"""Conformance cards: tests that every connector must pass against the venue's own simulator.

Each card injects what an exchange may do (lose or repeat a frame, close a connection, list a symbol
twice) and compares what the connector publishes with what happened at the exchange.

exchange    one simulated exchange in this process, with fault injection
connector   a connector without its services, and what it has published
card        what a card is, and its outcomes
cards/      the cards, by subject
runner      runs cards against a venue
endurance   a long feed with faults in some of the frames
"""
