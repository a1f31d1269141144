"""Scoring models: logistic regressions over the features of an entry, trained on outcomes."""
