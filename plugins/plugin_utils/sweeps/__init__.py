"""Passes repeated until a sweep is done: decisions, playbook runs, shards, merging."""
