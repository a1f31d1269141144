"""Orders that stay exact across crashes. README.md lists the entry points and the modules."""
