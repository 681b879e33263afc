"""What was found, as text or as a file: one file per output, from the contents that commands hand over.

:mod:`kmr_cli.render.outputs` is the table of documents and data files, and decides which command accepts which;
``screen/`` is for people. An output knows nothing of models, and nothing of commands.

May import: snapshot, check, evidence, batch, formats, and what stands below them.
"""
