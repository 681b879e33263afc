"""The child process that holds the model: starting and ending it, the protocol, the tasks it can be asked to do.

May import: check, snapshot, compare, and what stands below them.
"""
