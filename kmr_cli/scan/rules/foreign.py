"""KMR506: code that the file only names."""

from kmr_cli.rules import Rule

FOREIGN_CODE = Rule(
    "KMR506",
    "foreign-code",
    "warning",
    "the file names a class, function or operator that is neither in it nor part of its framework",
    "what it does stands in other code, which a look at the file cannot judge",
    "read that code, and name the module that holds it: --import MODULE",
    command="scan",
    if_passed="it names code that is not in the file",
    gravity=20,
)
RULES = (FOREIGN_CODE,)
KIND = "foreign"
