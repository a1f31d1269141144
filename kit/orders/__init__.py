"""Orders that are exact across crashes: what makes a venue's process a TradeFlow.

contract     what a venue supplies: a Desk for each account
approval     who allowed an order, and whether that holds
ids          the venue's id of an order, made of the caller's
amounts      exact arithmetic
checks       what can be refused before anything is sent
journal      each step of an order on disk before it is taken
files        a journal's bytes in a file that one process holds
records      what stands in a journal
states       where an order stands, and what may follow
entry        one order in memory
index        all of them, by every id, rebuilt from the journal
ledger       what is heard of an account's orders, in whatever order it comes
holdings     balances and positions
calls        calls of a desk, with an end and a clear outcome
pilot        an order's way to the venue; UNKNOWN until the venue has said
amender      changes of an order that is open
resolver     what has become of orders whose fate is not known
reconciler   the journal against the venue, before new orders are taken
held         stops that the venue does not have wait here
dead_man     all is cancelled when the order authority is silent
executions   what happens, numbered, to those who listen
account      one account put together
settings     accounts and numbers
service      TradeFlow for the accounts of one process
credentials  of an account, from the environment or from files
keys         the keys that approve orders
ccxt_desk    a desk over ccxt: what all venues have in common
ccxt_line    calls through ccxt, and what is known after each
ccxt_errors  refused, or nobody knows
ccxt_stream  what happens to an account, over the sockets of ccxt.pro
ccxt_read    venues' texts to the contract's types
rationed     a desk whose calls go on the process's budget
"""
