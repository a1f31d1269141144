"""Exact accounting of trades: positions, fees, margin, funding, profit, liquidation and triggers.

amounts         exact arithmetic with decimal amounts
money           amounts as integers of 10^-18, and exact ratios of them
contract        an instrument's units, and the value of a size at a price
instruments     the unit of sizes and the notional, from an Instrument message
position        size, average entry price, realised and unrealised profit of one instrument
lots            the same by lots: first in, first out
average_prices  average prices of fills
fees            fee tiers, maker and taker, and the traded volume that selects the tier
wallet          balances, reserved amounts and positions of one account
spot            reserved funds and settlement of spot orders
margin          margin, settlement and liquidation prices of derivatives
funding         when funding is due, and at which price and rate
costed_orders   orders as their costs are computed from them
order_costs     what an order has cost: slippage, shortfall, fees, mark-outs
stop_triggers   stop, take-profit and trailing-stop prices
"""
