"""What new things are copied from: real code, held to the rules of the code that it becomes.

examplex   a venue: a small made-up exchange, with its connector, its simulator and their tests
outside    what a venue needs besides, in a repository of its own
"""
