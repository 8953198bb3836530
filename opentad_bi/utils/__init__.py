"""Small helpers that know nothing of video: files, processes, logs, optional imports."""
