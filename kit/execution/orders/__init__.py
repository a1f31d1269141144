"""The state of an account: orders, fills, balances, positions.

order                   one order in memory
request_reader          reads an order from the contract's message
order_messages          renders orders, fills, balances and positions to the contract's messages
order_states            the states of an order, and the allowed transitions
order_index             all orders by every id, rebuilt from the journal
account_state           applies the venue's updates, in whatever order they arrive
amendments              settles amendments whose outcome was not known
fill_coverage           the times of which all fills are known
balances_and_positions  as the venue reported them last, compared with the fills
"""
