"""The child process that reads and runs the model: starting and ending it, the protocol, the tasks.

``place`` decides where tasks are carried out, ``child`` is the process, ``channel`` and ``codec`` the line to it, and
``tasks`` names what can be asked.

May import: check, snapshot, compare, and what stands below them.
"""
