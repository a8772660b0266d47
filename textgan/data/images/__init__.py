"""Images as data: what a corpus of them is, where it comes from, how it becomes splits that batches are drawn from."""
