"""From providers to typed rows: plan, budget, ledger, landing, load, import."""
