"""A simulator of Retell AI's phone-call API, for the demo, the tests and anybody who wants to try for free."""
