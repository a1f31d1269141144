"""What makes a process a venue: from frames to numbered batches, and the services around them.

connections  its websockets, and what is subscribed on them
books        books that are proven or in doubt
trades       every trade once and in order
twin         two processes of one venue, each hearing the other
rest         its REST side, within what it allows

What is here: the contract that a venue fills, the way of a frame (pipeline, hub), the services
(market_data, control, trading), and the process that puts all of it together (app).
"""
