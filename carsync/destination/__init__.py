"""From staging through the merge into the target table, and back."""
