"""Passes that gather what the rules judge: one probe a file.

A probe leaves what it saw in the run, or hands it back, and reports no finding.
"""
