"""Judged results as rows of tables, and their summary."""
