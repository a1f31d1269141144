"""A simulated exchange: one server that speaks every venue's own wire dialect.

In the world ``simulate`` its frames come from a seeded market, in the world ``replay`` from a file
of captured frames. Connectors and other clients connect to it as to the real exchange.

    world     market (simulate) or capture (replay)    what happens, in which order, when
    dialect   venues/<exchange>/simulator              how the exchange would say it
    venue     streams, connections                     who gets it
    faults    orders over HTTP or in a script          what goes wrong, or changes, on purpose
    matching  accounts, orders, fills                  the outcomes of client requests
    private   signatures, streams of accounts          what the exchanges' private halves share
    server    HTTP and websocket on one port           how they are reached
"""
