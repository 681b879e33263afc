"""KMR503: what reaches the network."""

from kmr_cli.rules import Rule

UNSAFE_NETWORK = Rule(
    "KMR503",
    "unsafe-network",
    "error",
    "loading or running the file would reach the network",
    "your data can be sent elsewhere, and what comes back can change the answers",
    "remove the operation, and save the model again",
    command="scan",
    headline="loading or running it could reach the network",
    gravity=80,
)
RULES = (UNSAFE_NETWORK,)
KIND = "network"
