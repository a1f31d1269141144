"""Any exchange that ccxt.pro knows, by its name there: "ccxt:gate"."""
