"""What every recogniser of a tool's output shares; it knows no tool."""
