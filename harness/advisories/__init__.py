"""Known faults of ncnn's versions, and which of them a layer of a model meets."""
