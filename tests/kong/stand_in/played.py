"""What this stand-in plays: a version of Kong, and what it does wrong."""

import os

# As Kong announces itself to others: 3.9.1, or 3.9.1.2-enterprise-edition.
VERSION = os.environ.get("STAND_IN_VERSION", "3.9.1")
MINOR = tuple(int(part) for part in VERSION.split(".")[:2])
IS_ENTERPRISE = "enterprise" in VERSION
FAULT = os.environ.get("STAND_IN_FAULT", "")

# The hash of a node that has no configuration.
EMPTY = "0" * 32
