"""What knows nothing of ncnn: errors, files, processes, the store of finished things."""
