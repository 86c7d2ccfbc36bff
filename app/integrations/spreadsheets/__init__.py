"""Uploaded spreadsheets: what a file is (sniffing), its rows (readers), and a process apart to read it in (child).

`files.SpreadsheetFiles` is the door. Everything behind it that touches an upload's bytes runs in the child.
"""
