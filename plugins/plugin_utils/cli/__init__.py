"""The command ``pairbench``: one file a verb, from arguments to an exit status."""
