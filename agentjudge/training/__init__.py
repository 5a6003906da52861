"""From traces to a gradient: token rows, advantages, monitors, and worlds to train in. No engine, no torch."""
