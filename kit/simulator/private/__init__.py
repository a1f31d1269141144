"""What the private halves of the pretended exchanges have in common.

``venues/<exchange>/simulator/private`` answers signed calls in the words of one exchange. What does
not depend on the words is here; none of it refuses anything, as each exchange does that in its own.

signing   whether a text was signed with a secret
memory    so many things by name, and of more the oldest is forgotten
market    of an instrument: its listing, its last price
orders    what is asked of the engine, and the fills of an order
streams   where an account is told of something
"""
