"""The subcommands of ``python -m pipeline``, one module each: its arguments, and the call behind them.

Each has ``register(commands)``, and imports what it calls only when it runs, so that ``--help`` takes no time.
"""
