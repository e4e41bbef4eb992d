"""What people and machines read: one page, Markdown, tables, the terminal."""
