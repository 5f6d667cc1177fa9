"""The version of the whole stack."""

VERSION = "0.1.0"
