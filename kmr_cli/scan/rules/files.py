"""KMR502: files that loading or running the model reads or writes."""

from kmr_cli.rules import Rule

UNSAFE_FILES = Rule(
    "KMR502",
    "unsafe-file-access",
    "error",
    "loading or running the file would read or write other files",
    "files of yours can be read into the model's answers, changed or overwritten",
    "save the model again with all that it needs inside its own file or folder",
    command="scan",
    headline="loading or running it could read or write other files",
    gravity=80,
)
RULES = (UNSAFE_FILES,)
KIND = "files"
