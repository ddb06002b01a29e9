"""Variables and inventory values, checked and typed: addresses, CPUs, guests, virtual machines to make."""
