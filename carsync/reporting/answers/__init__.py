"""What commands print with `--json`: a record for each, from which docs/reference/json.md is made.

A thing has one name in all of them. Where an older name is still there, both are set.
"""
