"""Foreign vocabularies: one file a dialect, all of one shape (`shape.Dialect`), listed in `table.DIALECTS`.

A new client is a new file and a line in the table. Every dialect's keys are read on every span, so a mixture of
vocabularies works; the scope name (rule one) or marker keys only decide which vendor wins a tie and what the call is
labelled with.
"""
