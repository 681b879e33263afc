"""Passes that gather what the rules judge: one probe a file. A probe reports no finding."""
