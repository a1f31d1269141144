"""From rows to numbered batches: the frame pipeline, the hub and what is listed."""
