"""What several formats need: importing a framework with a clear error, aligned copies of inputs.

May import: the interface of formats, errors, records.
"""
