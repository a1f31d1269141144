"""Whether a connector is right: cards that are played against the venue's own pretended exchange.

A connector is asked nothing about itself. Each card orders what an exchange may do (lose a frame,
say one twice, close, list a symbol twice), and looks at what the connector publishes.

exchange    one pretended exchange, in this process, which can be told what to do wrong
connector   what a venue process is made of, without its services, and what it published
card        what a card is, and how it ends
cards/      the cards
runner      plays cards against a venue, and tells the score
"""
