"""Orders that were placed together: alternatives, or an entry and its exits.

group_rules   which orders make a group, and which of them are held here at first
group_plan    the next actions of a group, from the states of its orders
order_groups  carries out the plan whenever an order has changed

Groups of venues differ, and most venues have none. These work alike on all venues: at most one of
the alternatives or exits is at the venue, and the others are held here.
"""
