"""Online endpoints: their documents and rules, and the processes that score behind them."""
