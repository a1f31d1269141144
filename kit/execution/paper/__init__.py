"""Paper accounts: an execution client whose venue is simulated from our own market data.

Journal, approvals, reconciliation and the dead-man switch work as for every account; nothing
reaches a real venue. docs/ORDERS.md says how orders fill, decision 0024 says why.

execution_client    the ExecutionClient, with latency; changes are on disk before they are reported
exchange            the simulated venue of one account
order_entry         orders enter the book: checks, immediate fills, resting
fill_simulator      what market events do to resting orders
queue_position      the size ahead of an order at its level
visible_book        what the book displays, and what an order can take of it
consumed_liquidity  each displayed size is taken once
orders              an order, and its forms on the wire and on disk
wallet              balances, margin, fees and funding, computed by ``kit.accounting``
instrument_terms    trading terms of an instrument
latency             message delay to and from the venue
records             the records on disk
market              the market events that a paper account reads
market_feed_adapter the market of a process that publishes market data
rules               fees, leverage, latency and initial balances
"""
