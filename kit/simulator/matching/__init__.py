"""The matching engine of the pretend exchange: accounts, orders, fills, money.

contract   what a dialect asks of it, and what it hears
book       one instrument's orders, by price and time
house      all instruments and accounts of one venue
margin     positions, funding, liquidation of derivatives
fees       tiers, maker and taker
"""
