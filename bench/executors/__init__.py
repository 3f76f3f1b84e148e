"""Where groups run: `(work, groups, …) → iterator of results`, exactly one result a run."""
