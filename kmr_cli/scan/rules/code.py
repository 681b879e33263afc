"""KMR501: code that runs when the file is loaded or run."""

from kmr_cli.rules import Rule

UNSAFE_CODE = Rule(
    "KMR501",
    "unsafe-code",
    "error",
    "the file holds or names code that is not part of a model, and that loading or running it would run",
    "whoever made the file decides what runs on your machine, with your rights",
    "ask its author for a version without it, or write the part as a registered layer or an operation of the framework",
    command="scan",
    headline="loading it could run code that isn't part of a model",
    gravity=90,
)
RULES = (UNSAFE_CODE,)
KIND = "code"
