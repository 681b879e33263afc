"""What the operators of a graph allow at all, for every input and every batch size.

A format hands over its model as a neutral graph (``graph.py``) with sizes that are polynomials in the number of samples
(``sizes.py``). The engine goes through the operators once and gives every value an owner (``owners.py``); a vocabulary
says which operator does what, in terms of a few primitives. ``verdict.py`` says what the owners of the outputs amount
to. No data, no weights, no framework. *Proven* is the word for what it shows; what perturbed passes confirm is
*verified*.

May import: the ground, arrays and config. May not import: formats, which hand their graphs to it.
"""
