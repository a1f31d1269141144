"""The disk of a simulated process."""

BLOCK_BYTES = 512


class Disk:
    """The store of a journal, which knows what would survive a loss of power."""

    def __init__(self):
        self.content = bytearray()
        self.synced = 0
        """How many bytes would certainly survive a loss of power."""
        self.underway = None
        self.error = None
        self.writes = 0
        self.is_replacing = False
        self.place = 0

    def load(self):
        return bytes(self.content)

    def write(self, position, data, *, sync):
        self.writes += 1
        self.is_replacing, self.place = False, position
        if self.error is not None:
            self.content[position:] = data[: len(data) // 2]
            raise self.error
        self.content[position:] = data
        if sync:
            self.synced = len(self.content)

    def replace(self, data):
        if self.error is not None:
            raise self.error
        self.is_replacing = True
        self.content = bytearray(data)
        self.synced = len(data)

    def fail(self, error):
        """Fail every write from now on."""
        self.error = error

    def close(self):
        pass

    def crash(self, chance, *, power):
        """Do half of what was under way. ``power``: the power is lost too, and with it blocks of
        what was not synced."""
        before, synced = bytearray(self.content), self.synced
        if self.underway is not None and self.error is None:
            writes, self.is_replacing = self.writes, False
            self.underway()
            is_writing = self.writes > writes
            was_whole = chance.random() < 0.3
            if self.is_replacing and not was_whole:
                self.content, self.synced = before, synced
            elif is_writing:
                self.synced = synced
                del self.content[chance.randint(self.place, len(self.content)) :]
        if power:
            kept = self.content[: self.synced]
            for start in range(self.synced, len(self.content), BLOCK_BYTES):
                block = self.content[start : start + BLOCK_BYTES]
                kept += block if chance.random() < 0.7 else bytes(len(block))
            self.content = kept
        self.underway = None
        self.synced = len(self.content)
