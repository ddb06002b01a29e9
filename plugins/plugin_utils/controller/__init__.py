"""The processes on the controller that belong to a running pass: watched, ended, handed over."""
