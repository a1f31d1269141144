"""A desk over ccxt: what all venues have in common.

desk    the calls of a desk, made of a venue's words
line    calls through ccxt, and what is known after each
errors  refused, or nobody knows
socket  orders over the websocket that a venue takes them on
stream  what happens to an account, over the sockets of ccxt.pro
read    venues' texts to the contract's types
"""
