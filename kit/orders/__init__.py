"""Orders that are exact across crashes: what makes a venue's process a TradeFlow.

contract     what a venue supplies: a Desk for each account
approval     who allowed an order, and whether that holds
ids          the venue's id of an order, made of the caller's
checks       what can be refused before anything is sent
journal      each step of an order on disk before it is taken
states       where an order stands, and what may follow
ledger       the orders of one account in memory, as the journal has them
pilot        an order's way to the venue; UNKNOWN until the venue has said
reconciler   the journal against the venue, before new orders are taken
executions   what happens, numbered, to those who listen
service      TradeFlow for the accounts of one process
ccxt_desk    a desk over ccxt: what all venues have in common
ccxt_line    calls through ccxt, and what is known after each
ccxt_errors  refused, or nobody knows
ccxt_stream  what happens to an account, over the sockets of ccxt.pro
ccxt_read    venues' texts to the contract's types
rationed     a desk whose calls go on the process's budget
"""
