"""The report: `summary` computes, `text` and `page` render; nothing here trains or tests."""
