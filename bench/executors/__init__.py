"""Where tasks run: `(work, tasks, …) → iterator of results`, exactly one result a run."""
