"""The stages of a decision, one module each: pure functions of a case and earlier results."""
