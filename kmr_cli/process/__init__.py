"""The child process that reads and runs the model: starting and ending it, the protocol, the tasks.

``place`` decides where tasks are carried out, ``child`` is the process as its parent holds it and ``served`` what it
does, ``channel`` and ``codec`` are the line between them, and ``tasks`` names what can be asked. ``admission`` scans a
model before it is loaded, ``sandbox`` contains it, ``resources`` limits it.

May import: check, snapshot, compare, and what stands below them.
"""
