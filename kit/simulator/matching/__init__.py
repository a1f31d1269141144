"""The matching engine of the simulated exchange: accounts, orders, fills, money.

contract           the interface that the exchange dialects use: orders, views, events, rules
exchange_accounts  the engine's implementation of that interface for one venue
engine             the life of orders: admitted, matched, resting, triggered, final
order_book         one instrument's orders by price and time
instrument_book    one listed instrument: its order book, rules and units
order              orders and fills inside the engine
order_validation   validation of new orders
stops              orders that wait for a trigger price
accounts           balances, orders, fills and listeners of accounts
settlement         reservations and payments, computed by ``kit.accounting``
mark_prices        prices at which positions are valued
risk               expiry, dead-man switch, funding and liquidation
"""
