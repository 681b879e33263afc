"""What a user says, parsed and checked: layers, samples, shapes, masks, tolerances, rules, ``pyproject.toml``.

May import: errors, records, rules, arrays.
"""
