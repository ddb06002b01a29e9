"""From hosts and cases to the order of every run: pairs, rounds, steps, and the plan that is stored."""
