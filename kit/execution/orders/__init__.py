"""What is known of an account: orders, fills, balances, positions.

states    where an order stands, and what may follow
entry     one order in memory
index     all of them, by every id, rebuilt from the journal
ledger    what is heard of them, in whatever order it comes
holdings  balances and positions
"""
