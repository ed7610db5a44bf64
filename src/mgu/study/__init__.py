"""A study: its trials, the ledger that keeps their results, and the runner that trains what is not yet done."""
