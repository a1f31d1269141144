"""The embedded servers: Valkey, PostgreSQL and Envoy, installed by pip.

Each sibling module tells the same three things of its server: ``prepare`` makes its data folder,
``command`` is how to start it as a foreground child process, ``is_ready`` whether it answers.
"""
