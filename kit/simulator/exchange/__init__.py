"""What the simulated exchanges have in common; see ``kit/simulator/README.md``.

rest                 routes, parameters, errors, and the way of a call through them
parameters           forms and JSON as parameters
streams              one object per stream name
account_feed         the events of an account, reported to a connection
capture              lines of a capture, read with the connector's parsers
candles              candle intervals, and the candles and days that are sent by the clock
paging               pages of rows
order_fills          kinds of orders, and the fills of an order
listings_and_prices  listings and last prices
signing              signatures
bounded_cache        so many things by name; the oldest is forgotten
"""
