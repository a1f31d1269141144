"""Accounts on paper: a desk whose venue is our own market data.

Everything above the desk is that of every account: journal, approvals, reconciling, the dead-man
switch. Nothing of it reaches a venue. How orders fill is told in docs/ORDERS.md, why so in decision
0024.

desk         the Desk: what is done takes time on its way, and is on disk before it is told
exchange     the pretended venue of one account, and what is asked of it
entrance     orders come to the book: what they take at once, and where they wait
matcher      what the market does to the orders that wait
queue        how much stands in the book before an order
display      what is displayed, and what of it can be taken
liquidity    each displayed size is taken once
orders       an order, and how it is told
wallet       what the account has: reserved, paid, margin, fees, funding
positions    what is held of derivatives
terms        what has to be known of an instrument
latency      the way to the venue
records      what stands on disk
market       what is heard of the market
feed_market  what a process publishes, as the market
rules        how it trades there: fees, leverage, latency, what an account begins with
"""
