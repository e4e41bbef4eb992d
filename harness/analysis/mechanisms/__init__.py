"""Why a layer gives something else: hypotheses that predict it, and what proves one."""
