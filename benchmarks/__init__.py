"""What things cost, measured on this machine. `make bench` runs all of it; no test asserts any of these figures."""
