"""Proofs that Cadencia keeps its promises when everything around it fails: docs/proofs.md says what each one shows.

`python -m tests.chaos --help` runs them at length; the tests beside this file are their short forms.
"""
