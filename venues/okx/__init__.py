"""OKX: spot and perpetual swaps."""
