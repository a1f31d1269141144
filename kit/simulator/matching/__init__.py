"""The matching engine of the pretend exchange: accounts, orders, fills, money.

contract   what a dialect asks of it, and what it hears
house      all instruments and accounts of one venue, as a dialect sees them
engine     what becomes of orders: admitted, met, waiting, ended
book       one instrument's orders, by price and time
board      what the house knows of one instrument, and how its numbers are counted
order      an order as the engine keeps it
checks     what an order must be like before anything is done
stops      orders that wait for a price
accounts   what an account has and has done
clearing   how what was traded is paid
spot       … when it is exchanged for good
margin     … when it is a derivative: what accounts must have for it
positions  what is held of a derivative, and won or lost by it
clockwork  what time brings: expiry, the dead-man switch, funding, liquidation
fees       tiers, maker and taker
money      atoms: exact integers
"""
