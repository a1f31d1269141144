"""Orders that are exact across crashes: what makes a venue's process a TradeFlow.

contract     what a venue supplies: a Desk for each account
ccxt         a desk over ccxt: what all venues have in common
paper        a desk whose venue is our own market data
rationed     a desk whose calls go on the process's budget
calls        calls of a desk, with an end and a clear outcome

accounts     those of one process, put together and served
service      TradeFlow for them
feed         what a process publishes, for those who trade in it
prices       of what it publishes: the best ones, and those of trades
account      one account put together
checks       what can be refused before anything is sent
pilot        an order's way to the venue; UNKNOWN until the venue has said
amender      changes of an order that is open
resolver     what has become of orders whose fate is not known
reconciler   the journal against the venue, before new orders are taken
held         stops that the venue does not have wait here
groups       orders that were placed together take turns
resuming     what was under way when the process ended goes on
dead_man     all is cancelled when the order authority is silent
executions   what happens, numbered, to those who listen

journal      each step of an order on disk before it is taken
ledger       what is known of an account: orders, fills, balances, positions

approval     who allowed an order, and whether that holds
keys         the keys that approve orders
credentials  of an account, from the environment or from files
ids          the venue's id of an order, made of the caller's
amounts      exact arithmetic
settings     accounts and numbers
"""
