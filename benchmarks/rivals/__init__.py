"""The engine beside other job queues: `python -m benchmarks.rivals --help`."""
