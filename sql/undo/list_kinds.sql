SELECT DISTINCT action FROM {reversal}
