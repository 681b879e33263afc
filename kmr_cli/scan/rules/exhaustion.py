"""KMR504: what takes memory, disk or time out of proportion to the file."""

from kmr_cli.rules import Rule

RESOURCE_EXHAUSTION = Rule(
    "KMR504",
    "resource-exhaustion",
    "error",
    "the file claims far more than its bytes can hold: memory, members, nesting",
    "loading it can take all memory, fill the disk or never end",
    "copy the file again; if it still claims so much, it was not written by its framework",
    command="scan",
    headline="loading it could exhaust memory, disk or time",
    gravity=60,
)
RULES = (RESOURCE_EXHAUSTION,)
KIND = "exhaustion"
