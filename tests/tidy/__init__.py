"""The style, held by tests.

Each rule is a small function from the project's files to findings. What a rule finds must be put
right, or be waived in waivers.toml with a reason. A waiver forgives an exact amount, so it can only
shrink: one that forgives more than is there fails as well.
"""
