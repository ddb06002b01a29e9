"""Passes repeated until a sweep is done: decisions, the loop over blocks, runs of the playbook, shards, merging."""
