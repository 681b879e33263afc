"""KMR505: a container that two readers would understand differently, or that holds what no model needs."""

from kmr_cli.rules import Rule

MALFORMED_CONTAINER = Rule(
    "KMR505",
    "malformed-container",
    "error",
    "the archive is not what its framework writes: members twice, names that lead out of it, something before or after",
    "another program may see a different model in the same file, and what was examined is not what is loaded",
    "load it where you trust it, and save it again with its framework",
    command="scan",
    headline="its container is not what the framework writes",
    gravity=50,
)
RULES = (MALFORMED_CONTAINER,)
KIND = "container"
