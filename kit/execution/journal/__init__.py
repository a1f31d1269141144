"""Each step of an order, on disk before it is taken.

records          the records, and their format on disk
account_journal  the journal of one account
anchor           what that journal must at least have, in a file elsewhere
journal          framed payloads in a file: group commit, repair, compaction
journal_file     the file, held by one process
"""
