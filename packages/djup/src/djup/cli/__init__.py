"""The command line: Invoke, flags that every task has, and errors as sentences."""
