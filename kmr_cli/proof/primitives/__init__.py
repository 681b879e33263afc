"""The few things that operators do to axes.

A vocabulary says which operator does which. May import the ground of the proof.
"""
